/** `pool` of a definition, and of a step: the kind of worker that runs it. */
import { name } from '../any-step.ts'
import { checkName } from '../check-name.ts'
import type { IssueList } from '../issue-list.ts'
import { didYouMean } from '../nearest-name.ts'
import type { AllowList } from '../values.ts'

/** Served by workers that are told nothing of pools; what names no pool runs there. */
export const DEFAULT_POOL = 'default'

export const pool = name.describe('The pool whose workers run its executions; "default" unless given.')

/** `path`: of the field. */
export function checkPool(
  pool: string,
  path: readonly string[],
  { allow, issues }: { allow: AllowList; issues: IssueList },
): void {
  const { pools } = allow
  if (!checkName(pool, path, { issues }) || !pools || pool === DEFAULT_POOL || pools.has(pool)) return
  issues.add('UNKNOWN_POOL', path, undefined, () => didYouMean(pool, [...pools, DEFAULT_POOL]))
}
