/** How a feed is, in a word or two. Pure. */
import type { FeedState } from '../../../clients/feed/feed.ts'
import { toned } from './paint.ts'
import type { Piece, Tone } from './paint.ts'

const TONES: Readonly<Record<string, Tone>> = { live: 'green', stale: 'yellow', resuming: 'yellow', ended: 'dim' }

export function connectionOf({ status, problem, ending }: Omit<FeedState<never>, 'view'>): Piece[] {
  const why = problem ?? (ending && ending.reason !== 'FINISHED' ? (ending.errors[0]?.message ?? ending.reason) : undefined)
  return [toned(TONES[status] ?? 'dim', why === undefined ? status : `${status}: ${why}`)]
}
