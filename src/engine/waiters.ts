/** Callers who wait for the end of executions: woken by the bus; one slow look for all of them heals a lost ring. */
import type { Database } from '../database/database.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Logger } from '../log.ts'
import { endedTopic } from './engine.ts'
import { createLoop } from '../loop.ts'

const HEAL_MS = 1000

export interface Waiters {
  ended(executionId: string, waitMs: number): Promise<void>
  close(): Promise<void>
}

/** `ringsHere`: whether this process itself will ring at the end of an execution, so that nobody needs to look. */
export function createWaiters(database: Database, bus: Bus, log: Logger, ringsHere: (executionId: string) => boolean): Waiters {
  const waiting = new Map<string, Set<() => void>>()
  const loop = createLoop({ name: 'waiters', log, runOnce: look })
  let started = false

  async function look(): Promise<number> {
    const ids = [...waiting.keys()]
    if (ids.length > 0) {
      const over = await database.query<{ id: string }>(
        `select w.id from unnest($1::uuid[]) as w(id) left join sluice.executions e on e.id = w.id
         where e.id is null or e.ended_at is not null`,
        [ids],
      )
      for (const { id } of over) for (const wake of waiting.get(id) ?? []) wake()
    }
    return HEAL_MS
  }

  return {
    ended(executionId, waitMs) {
      if (waitMs <= 0) return Promise.resolve()
      if (!started) loop.start()
      started = true
      return new Promise((resolve) => {
        const wakers = waiting.get(executionId) ?? new Set()
        waiting.set(executionId, wakers)
        const done = (): void => {
          clearTimeout(timer)
          unlisten()
          wakers.delete(done)
          if (wakers.size === 0) waiting.delete(executionId)
          resolve()
        }
        const timer = setTimeout(done, waitMs)
        const unlisten = bus.listen(endedTopic(executionId), done)
        wakers.add(done)
        // it may have ended before we listened
        if (!ringsHere(executionId)) loop.wake()
      })
    },
    async close() {
      for (const wakers of waiting.values()) for (const wake of wakers) wake()
      await loop.stop()
    },
  }
}
