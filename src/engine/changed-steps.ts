/** Which steps of a stored definition another version does not define in the very same way. */
import { canonicalJson } from '../canonical-json.ts'
import type { Json } from '../language/values.ts'

export interface StoredDefinition {
  steps?: Record<string, Json>
}

/** Those of `before` that `after` lacks are among them. */
export function changedSteps(
  { steps: before = {} }: StoredDefinition,
  { steps: after = {} }: StoredDefinition,
): ReadonlySet<string> {
  const isSame = (name: string): boolean =>
    Object.hasOwn(after, name) && canonicalJson(after[name]) === canonicalJson(before[name])
  return new Set(Object.keys(before).filter((name) => !isSame(name)))
}
