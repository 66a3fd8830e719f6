/** Tells everything that is wrong or doubtful with a definition, and writes nothing. */
import type { Issue } from '../../errors.ts'
import { loadSqlParserFor } from '../../language/sql/sql-parser.ts'
import { validateDefinition } from '../../language/validate.ts'
import type { WorstCase } from '../../language/worst-case.ts'
import type { Call } from '../call.ts'
import { secretIssues } from '../secrets/check-secrets.ts'
import { requirePrincipal } from '../permissions.ts'
import { warnAboutCircles } from './warn-about-circles.ts'

export interface FlowValidation {
  /** true when a flow can be made of it, whatever the warnings */
  valid: boolean
  issues: readonly Issue[]
  warnings: readonly Issue[]
  /** null when it is not valid */
  worstCase: WorstCase | null
}

/** As a flow of the caller. */
export async function validateFlow(call: Call, { definition }: { definition: unknown }): Promise<FlowValidation> {
  const { actsAs } = requirePrincipal(call)
  await loadSqlParserFor(definition)
  const { definition: whole, issues: wrong, warnings, worstCase = null } = validateDefinition(definition, call.services.allow)
  const issues = whole ? await secretIssues(call, whole, actsAs) : wrong
  const circles = whole ? await warnAboutCircles(call, whole, actsAs) : []
  return {
    valid: issues.length === 0,
    issues,
    warnings: [...warnings, ...circles],
    worstCase: issues.length === 0 ? worstCase : null,
  }
}
