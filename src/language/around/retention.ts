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

/** Days, of one that was checked. */
export const retentionDays = ({ payloads }: Retention): number => (parseDuration(payloads) ?? 0) / DAY_MS

export function checkRetention(retention: Retention, { issues }: { issues: IssueList }): void {
  const days = retentionDays(retention)
  if (!(Number.isInteger(days) && days >= 1 && days <= MAX_DAYS))
    issues.add('INVALID_DURATION', ['retention', 'payloads'], `must be whole days, P1D to P${MAX_DAYS}D`)
}
