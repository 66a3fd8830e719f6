/** Who was hit by a fault, and when each of them went on: read from what PostgreSQL has, by its own clock. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Database } from '../database/database.ts'
import { encodeId } from '../ids.ts'

/** UUIDs of those that were in the way, and when the harm was done, ms by PostgreSQL's clock. */
export interface Hit {
  readonly at: number
  readonly executions: readonly string[]
}

export interface Recovery {
  /** how many had not ended before the harm was done */
  readonly hit: number
  /** ms from the harm until somebody worked on the last of them again, and until the last of them got a step further; infinite = never */
  readonly takenUpMs: number
  readonly gotOnMs: number
  /** readable ids of those that took longest */
  readonly last: readonly string[]
}

const UNENDED = `select id from sluice.executions where flow_id = $1 and ended_at is null and created_at >= $2`
const COUNT_UNENDED = 'select count(*)::int as count from sluice.executions where flow_id = $1 and ended_at is null'
const HELD_BY = `select id, owner from sluice.executions where owner = any($1::uuid[]) and flow_id = $2`
/** Whoever takes over writes events before anything is done again: they are no progress yet. */
const NO_PROGRESS = ['step.restarted', 'step.isolated', 'step.late']
const STANDINGS = `
  select e.id, (extract(epoch from f.taken_up) * 1000)::float8 as "takenUp", (extract(epoch from f.got_on) * 1000)::float8 as "gotOn"
  from sluice.executions e left join lateral (
    select min(at) as taken_up, min(at) filter (where type <> all($3)) as got_on from sluice.events v
    where v.execution_id = e.id and v.at > to_timestamp($2::float8 / 1000)) f on true
  where e.id = any($1::uuid[]) and (e.ended_at is null or e.ended_at > to_timestamp($2::float8 / 1000))`

interface Standing {
  id: string
  /** ms since 1970 */
  takenUp: number | null
  gotOn: number | null
}

export interface Progress {
  unended(): Promise<string[]>
  /** also of drills before */
  countUnended(): Promise<number>
  /** by worker */
  held(workerIds: readonly string[]): Promise<Map<string, string[]>>
  /** Resolves when all of them got on; with what there is when `withinMs` are over. */
  recovered(hit: Hit, withinMs: number): Promise<Recovery>
  /** Resolves when the database answers, with when that was. */
  answers(): Promise<number>
  now(): number
}

/** So many are named. */
const LAST = 3
const LOOK_MS = 100
const AWAY_AT_MOST_MS = 60_000

/** Of the executions of this flow since the drill began. The database may be away at any time: it is asked again. */
export function watchProgress(database: Database, flowId: string, signal: AbortSignal): Progress {
  const since = new Date(database.clock.now())
  async function ask<Row>(text: string, params: unknown[]): Promise<Row[]> {
    for (const until = performance.now() + AWAY_AT_MOST_MS; ;) {
      try {
        return await database.query<Row>(text, params)
      } catch (error) {
        if (performance.now() > until) throw error
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
    countUnended: async () => (await ask<{ count: number }>(COUNT_UNENDED, [flowId]))[0]!.count,
    async held(workerIds) {
      const rows = await ask<{ id: string; owner: string }>(HELD_BY, [workerIds, flowId])
      const held = new Map<string, string[]>()
      for (const { id, owner } of rows) held.set(owner, [...(held.get(owner) ?? []), id])
      return held
    },
    async recovered({ at, executions }, withinMs) {
      for (;;) {
        const standings = await ask<Standing>(STANDINGS, [executions, at, NO_PROGRESS])
        if (standings.every(({ gotOn }) => gotOn !== null) || database.clock.now() > at + withinMs)
          return recoveryOf(standings, at)
        await pause(LOOK_MS, undefined, { signal })
      }
    },
  }
}

function recoveryOf(standings: readonly Standing[], at: number): Recovery {
  const since = (ms: number | null): number => (ms === null ? Number.POSITIVE_INFINITY : ms - at)
  const slowestFirst = standings.toSorted((a, b) => since(b.gotOn) - since(a.gotOn) || 0)
  return {
    hit: standings.length,
    takenUpMs: Math.max(0, ...standings.map(({ takenUp }) => since(takenUp))),
    gotOnMs: Math.max(0, ...standings.map(({ gotOn }) => since(gotOn))),
    last: slowestFirst.slice(0, LAST).map(({ id }) => encodeId('execution', id)),
  }
}
