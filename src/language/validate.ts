/** Everything that can be said about a definition at once: what is wrong (issues) and what is probably not meant (warnings). */
import type { Issue } from '../errors.ts'
import type { Definition } from './definition.ts'
import { findWarnings } from './lint.ts'
import type { AllowList } from './values.ts'
import { readDefinition } from './read-definition.ts'
import { boundsOf, worstCaseOf, type WorstCase } from './worst-case.ts'

export interface Validation {
  /** empty when the definition is valid; at most MAX_ISSUES */
  issues: Issue[]
  warnings: Issue[]
  /** the definition as it is to be stored, when it is valid: plain JSON, the name trimmed */
  definition?: Definition
  /** of a valid one */
  worstCase?: WorstCase
}

/** Never throws, whatever `value` is. A definition that it returns always compiles under the same allow-list. */
export function validateDefinition(value: unknown, allow: AllowList): Validation {
  const read = readDefinition(value, allow)
  const { definition } = read
  if (!definition) return { issues: read.issues.issues, warnings: [] }
  const bounds = boundsOf(definition, read.steps, read.places)
  const worstCase = worstCaseOf(bounds, read.timeoutMs)
  return { issues: [], warnings: findWarnings(definition, read, bounds), definition, worstCase }
}
