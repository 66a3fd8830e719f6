/** How much got done around a fault: calls a second that the witness counted. Pure. */
import type { FaultRecord } from '../check.ts'

export interface Throughput {
  /** calls a second: until the fault, in the worst second of it, and when it was over */
  readonly before: number
  readonly worst: number
  readonly after: number
}

/** Long enough to be even, short enough to tell of this fault alone. */
const AROUND_MS = 3_000
const WORST_MS = 1_000
const STEP_MS = 100

/** `lengthMs`: how long was counted. */
export function throughputAround(
  calls: readonly number[],
  { atMs, gotOnMs }: Pick<FaultRecord, 'atMs' | 'gotOnMs'>,
  lengthMs: number,
): Throughput {
  const over = atMs + (Number.isFinite(gotOnMs) ? gotOnMs : 0)
  let worst = Number.POSITIVE_INFINITY
  for (let from = atMs; from <= over; from += STEP_MS) worst = Math.min(worst, rateBetween(calls, from, from + WORST_MS))
  const since = Math.max(0, atMs - AROUND_MS)
  return { before: rateBetween(calls, since, atMs), worst, after: rateBetween(calls, over, Math.min(lengthMs, over + AROUND_MS)) }
}

const rateBetween = (calls: readonly number[], from: number, to: number): number =>
  to <= from ? 0 : Math.round(calls.filter((at) => at >= from && at < to).length / ((to - from) / 1_000))
