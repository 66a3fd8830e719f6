/** `retention` of a definition: how long the payloads of its ended executions are kept (A11, D8). */
import { z } from 'zod'
import { name } from '../any-step.ts'
import { parseDuration } from '../duration.ts'
import type { IssueList } from '../issue-list.ts'

const DAY_MS = 86_400_000
const MAX_DAYS = 3_650

export interface Retention {
  /** of inputs, outputs and step runs: an ISO 8601 duration of whole days; the installation says how long it may be at most */
  readonly payloads: string
}

export const retention = z.strictObject({
  payloads: name.describe('How long inputs, outputs and step runs are kept after the end: whole days such as P7D.'),
})

/** Days; an issue, and 0, when it says none. */
export function readRetention({ payloads }: Retention, { issues }: { issues: IssueList }): number {
  const days = (parseDuration(payloads) ?? 0) / DAY_MS
  if (Number.isInteger(days) && days >= 1 && days <= MAX_DAYS) return days
  issues.add('INVALID_DURATION', ['retention', 'payloads'], `must be whole days, P1D to P${MAX_DAYS}D`)
  return 0
}
