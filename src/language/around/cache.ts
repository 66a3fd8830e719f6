/** `cache` of a definition: how long an answer may be given again to whoever asked for it (C5). */
import { z } from 'zod'
import { name } from '../any-step.ts'
import type { IssueList } from '../issue-list.ts'
import { readDuration } from '../read-duration.ts'

/** Of one flow version, one input and one person or agent; never of another's. */
export interface Cache {
  /** an ISO 8601 duration, counted from the end of the execution */
  readonly ttl: string
}

export const cache = z.strictObject({
  ttl: name.describe(
    'How long an output is given again for the same input to the same person: an ISO 8601 duration such as PT5M.',
  ),
})

/** Milliseconds. */
export const readCacheTtl = ({ ttl }: Cache, context: { issues: IssueList }): number =>
  readDuration(ttl, ['cache', 'ttl'], context, 1_000)
