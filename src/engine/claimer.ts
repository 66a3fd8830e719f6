/**
 * How a worker comes by executions: it claims those that are offered to it, and looks for others by itself, as many as it has room for.
 * What is on its way from the database counts as held, so that two claims at once do not take more than there is room for.
 */
import type { Database } from '../database/database.ts'
import type { Taker } from '../fleet/dispatch.ts'
import type { Logger } from '../log.ts'
import { claimExecutions, claimOffered } from './claim.ts'
import type { Claimed } from './claim.ts'

export interface ClaimerOptions {
  database: Database
  workerId: string
  /** whose executions it claims, in turns */
  pools: readonly string[]
  maxHeld: number
  held(): number
  /** false: nothing may be claimed now, whatever there is */
  mayClaim(): boolean
  /** holds what was claimed */
  hold(executionIds: readonly string[]): Promise<void>
  claimed(count: number): void
  log: Logger
}

export interface Claimer extends Pick<Taker, 'room' | 'take'> {
  /** Claims while there is something and room for it, for a moment. `ready`: also of what is ready; false: of what is due and nobody was told of. True: it took some. */
  look(ready: boolean): Promise<boolean>
  /** the last look at what is ready took all that it asked some pool for, and now there is room for about as much again */
  readonly couldMore: boolean
}

const MAX_CLAIM = 256
/** There may be more for hours, and room for it as fast as executions end: what is due is looked at in between. */
const LOOK_MS = 100

export function createClaimer({
  database,
  workerId,
  pools,
  maxHeld,
  held,
  mayClaim,
  hold,
  claimed,
  log,
}: ClaimerOptions): Claimer {
  let coming = 0
  /** by pool, where its walk over initiators goes on */
  const places = new Map<string, string | null>()
  let nextPool = 0
  let more = false

  const room = (): number => (mayClaim() ? Math.max(0, maxHeld - held() - coming) : 0)

  async function claim<Row extends Claimed>(wanted: number, ask: () => Promise<Row[]>): Promise<Row[]> {
    coming += wanted
    try {
      const rows = await ask()
      if (rows.length > 0) claimed(rows.length)
      await hold(rows.map(({ id }) => id))
      return rows
    } finally {
      coming -= wanted
    }
  }

  /**
   * Each pool may take its share of what is left; what one leaves, those after it may have, and another is first the next time. `full`: one
   * of them gave all that it was asked for, and may have more.
   */
  async function claimInTurns(most: number, ready: boolean): Promise<{ taken: number; full: boolean }> {
    let taken = 0
    let full = false
    for (let turn = 0; turn < pools.length && taken < most; turn++) {
      const pool = pools[(nextPool + turn) % pools.length]!
      const wanted = Math.ceil((most - taken) / (pools.length - turn))
      const afterInitiator = places.get(pool) ?? null
      const rows = await claim(wanted, () => claimExecutions(database, { worker: workerId, pool, wanted, afterInitiator, ready }))
      places.set(pool, rows[0]?.place ?? afterInitiator)
      taken += rows.length
      full ||= rows.length === wanted
    }
    nextPool = (nextPool + 1) % pools.length
    return { taken, full }
  }

  return {
    room,
    async take(executionIds) {
      const wanted = executionIds.slice(0, room())
      if (wanted.length === 0) return
      try {
        await claim(wanted.length, () => claimOffered(database, workerId, wanted, pools))
      } catch (error) {
        log.warn({ err: error }, 'what was offered could not be claimed; a look finds it')
      }
    },
    async look(ready) {
      const until = performance.now() + LOOK_MS
      let took = false
      let isFull = false
      do {
        const wanted = Math.min(room(), MAX_CLAIM)
        if (wanted === 0) return took
        const { taken, full } = await claimInTurns(wanted, ready)
        took ||= taken > 0
        isFull = full
        // what is due says nothing of it
        if (ready) more = full
      } while (isFull && performance.now() < until)
      return took
    },
    get couldMore() {
      // not for each that ends: a claim is worth a roomful
      return more && room() >= Math.min(MAX_CLAIM, maxHeld / 2)
    },
  }
}
