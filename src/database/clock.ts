/**
 * PostgreSQL's clock, estimated here without asking it each time. https://en.wikipedia.org/wiki/Marzullo%27s_algorithm
 *
 * Each sample bounds the difference between the two clocks: the database read its clock between the moment we sent the question
 * and the moment we had the answer. The bounds of several samples are intersected; they widen with age, since clocks drift.
 */

/** More than any sane oscillator drifts; NTP slews by at most half of it. */
const DRIFT = 0.001

export interface DatabaseClock {
  /** Milliseconds since 1970 on PostgreSQL's clock, whole; never goes back within this process. NaN before the first sample. */
  now(): number
  /** The database said `databaseMs` to a question sent and answered at these times of `performance.now()`. */
  sample(databaseMs: number, sentAtMonotonic: number, receivedAtMonotonic: number): void
  /** Asks the database once. */
  sync(): Promise<void>
}

/** `readDatabaseMs` asks the database for its `clock_timestamp()`; `monotonic` is `performance.now` outside of tests. */
export function createClock(
  readDatabaseMs: () => Promise<number>,
  monotonic: () => number = () => performance.now(),
): DatabaseClock {
  let bounds: { low: number; high: number; at: number } | undefined
  let last = Number.NEGATIVE_INFINITY

  function sample(databaseMs: number, sent: number, received: number): void {
    const fresh = { low: databaseMs - received, high: databaseMs - sent, at: received }
    if (bounds !== undefined) {
      const widening = Math.max(0, received - bounds.at) * DRIFT
      const low = Math.max(fresh.low, bounds.low - widening)
      const high = Math.min(fresh.high, bounds.high + widening)
      // No overlap: the database's clock was set, or it is another server now. Only the newest word counts.
      if (low <= high) Object.assign(fresh, { low, high })
    }
    bounds = fresh
  }

  return {
    sample,
    now() {
      if (bounds === undefined) return Number.NaN
      last = Math.max(last, Math.floor(monotonic() + (bounds.low + bounds.high) / 2))
      return last
    },
    async sync() {
      const sent = monotonic()
      const databaseMs = await readDatabaseMs()
      sample(databaseMs, sent, monotonic())
    },
  }
}
