/** Who was hit by a fault, and when each of them went on: read from what PostgreSQL has, by its own clock. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.ts'
import { encodeId } from '../ids.ts'

/** UUIDs of those that had not ended, and when the harm was done, ms by PostgreSQL's clock. */
export interface Hit {
  readonly at: number
  readonly executions: readonly string[]
}

export interface Recovery {
  /** ms from the harm until the first and until the last of them went on; infinite = they did not */
  readonly firstMs: number
  readonly allMs: number
  /** readable ids of the last of them */
  readonly last: readonly string[]
}

const UNENDED = `select id from sluice.executions where flow_id = $1 and ended_at is null and created_at >= $2`
const HELD_BY = `select id, owner from sluice.executions where owner = any($1::uuid[]) and flow_id = $2`
const FIRST_EVENTS = `
  select execution_id as id, (extract(epoch from min(at)) * 1000)::float8 as at from sluice.events
  where execution_id = any($1::uuid[]) and at > to_timestamp($2::float8 / 1000) group by execution_id`

export interface Progress {
  unended(): Promise<string[]>
  /** by worker */
  held(workerIds: readonly string[]): Promise<Map<string, string[]>>
  /** Resolves when all of them went on; with what there is when `withinMs` are over. */
  recovered(hit: Hit, withinMs: number): Promise<Recovery>
  /** Resolves when the database answers, with when that was. */
  answers(): Promise<number>
  now(): number
}

/** So many are named. */
const LAST = 3
const LOOK_MS = 100

/** Of the executions of this flow since the drill began. The database may be away at any time: it is asked again. */
export function watchProgress(database: Database, flowId: string, signal: AbortSignal): Progress {
  const since = new Date(database.clock.now())
  async function ask<Row>(text: string, params: unknown[]): Promise<Row[]> {
    for (;;) {
      try {
        return await database.query<Row>(text, params)
      } catch {
        await pause(LOOK_MS, undefined, { signal })
      }
    }
  }

  return {
    now: () => database.clock.now(),
    async answers() {
      await ask('select 1', [])
      return database.clock.now()
    },
    unended: async () => (await ask<{ id: string }>(UNENDED, [flowId, since])).map(({ id }) => id),
    async held(workerIds) {
      const rows = await ask<{ id: string; owner: string }>(HELD_BY, [workerIds, flowId])
      const held = new Map<string, string[]>()
      for (const { id, owner } of rows) held.set(owner, [...(held.get(owner) ?? []), id])
      return held
    },
    async recovered({ at, executions }, withinMs) {
      const moved = new Map<string, number>()
      while (moved.size < executions.length) {
        const waiting = executions.filter((id) => !moved.has(id))
        for (const row of await ask<{ id: string; at: number }>(FIRST_EVENTS, [waiting, at])) moved.set(row.id, row.at - at)
        if (moved.size === executions.length || database.clock.now() > at + withinMs) break
        await pause(LOOK_MS, undefined, { signal })
      }
      const times = [...moved.values()]
      const late = executions.toSorted(
        (a, b) => (moved.get(b) ?? Number.POSITIVE_INFINITY) - (moved.get(a) ?? Number.POSITIVE_INFINITY),
      )
      return {
        last: late.slice(0, LAST).map((id) => encodeId('execution', id)),
        firstMs: times.length > 0 ? Math.min(...times) : Number.POSITIVE_INFINITY,
        allMs: moved.size === executions.length ? Math.max(0, ...times) : Number.POSITIVE_INFINITY,
      }
    },
  }
}
