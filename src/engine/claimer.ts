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
  /** Claims while there is something and room for it. `ready`: also of what is ready; false: of what is due and nobody was told of. */
  look(ready: boolean): Promise<void>
  /** the last look took all that it asked for, and now there is room for about as much again */
  readonly couldMore: boolean
}

const MAX_CLAIM = 256

export function createClaimer({ database, workerId, maxHeld, held, mayClaim, hold, claimed, log }: ClaimerOptions): Claimer {
  let coming = 0
  /** where the walk over initiators goes on */
  let afterInitiator: string | null = null
  let more = false

  const room = (): number => (mayClaim() ? Math.max(0, maxHeld - held() - coming) : 0)

  async function claim(wanted: number, ask: () => Promise<Claimed[]>): Promise<Claimed[]> {
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

  return {
    room,
    async take(executionIds) {
      const wanted = executionIds.slice(0, room())
      if (wanted.length === 0) return
      try {
        await claim(wanted.length, () => claimOffered(database, workerId, wanted))
      } catch (error) {
        log.warn({ err: error }, 'what was offered could not be claimed; a look finds it')
      }
    },
    async look(ready) {
      do {
        const wanted = Math.min(room(), MAX_CLAIM)
        if (wanted === 0) return
        const rows = await claim(wanted, () => claimExecutions(database, { worker: workerId, wanted, afterInitiator, ready }))
        more = rows.length === wanted
        afterInitiator = rows.at(-1)?.initiator_id ?? null
      } while (more)
    },
    get couldMore() {
      // not for each that ends: a claim is worth a roomful
      return more && room() >= Math.min(MAX_CLAIM, maxHeld / 2)
    },
  }
}
