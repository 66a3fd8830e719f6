/**
 * What principals and flows take of the machine (D7): executions, bytes of payloads, CPU time and memory of handlers. Counted in
 * memory where it happens, and added to the rows of the hour every few seconds: no commit waits for it, and what a process counted
 * since the last time dies with it.
 */
import type { Database } from '../database/database.ts'
import { createLoop } from '../loop.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import type { Transition } from './decide/draft.ts'
import type { ResourceUse } from './handlers/resource-limits.ts'

const WRITE_EVERY_MS = 5_000
const CLEAN_EVERY_MS = 3_600_000
/** Past so many pairs of principal and flow the rows are written sooner; what the database does not take beyond is lost. */
const MAX_PAIRS = 10_000
const KEPT = '31 days'

/** Who started what. */
export interface Pair {
  readonly initiatorId: string
  readonly flowId: string
}

/** What was taken since the last write. */
export interface Taken extends Pair {
  executions: number
  /** inputs and outputs, as they were stored */
  payloadBytes: number
  handlerAttempts: number
  handlerCpuMs: number
  /** the most of one attempt */
  handlerMemoryBytes: number
  /** attempts that took more than they may */
  exceeded: number
}

export interface ResourceMeter {
  /** A transition was stored. */
  stored(transition: Pick<Transition, 'from' | 'next'>): void
  /** An attempt of a handler has ended. */
  used(of: Pair, use: ResourceUse): void
  /** called with what was written; for metrics */
  onWrite?: (taken: readonly Taken[]) => void
  /** Writes what is counted. Never rejects: what could not be written is counted on. */
  runOnce(): Promise<void>
  start(): void
  /** Writes what is counted. */
  stop(): Promise<void>
}

export interface ResourceMeterOptions {
  readonly database: Pick<Database, 'query'>
  readonly log: Logger
  readonly maxPairs?: number
}

export function createResourceMeter({ database, log, maxPairs = MAX_PAIRS }: ResourceMeterOptions): ResourceMeter {
  let pairs = new Map<string, Taken>()
  let cleanAt = 0

  function of({ initiatorId, flowId }: Pair): Taken {
    const key = initiatorId + flowId
    let taken = pairs.get(key)
    if (!taken) pairs.set(key, (taken = { initiatorId, flowId, ...NOTHING }))
    if (pairs.size >= maxPairs) loop.wake()
    return taken
  }

  const trouble = createTrouble({ log, message: 'what was taken could not be written' })

  /** In the order of their keys, so that processes that write at the same time wait for each other and never in a circle. */
  async function runOnce(): Promise<void> {
    const taken = [...pairs.keys()].toSorted().map((key) => pairs.get(key)!)
    if (taken.length === 0) return
    pairs = new Map()
    try {
      await database.query(
        ADD,
        COLUMNS.map((name) => taken.map((row) => row[name])),
      )
      meter.onWrite?.(taken)
      trouble.worked()
    } catch (error) {
      const kept = taken.slice(0, Math.max(0, maxPairs - pairs.size))
      for (const row of kept) join(of(row), row)
      trouble.failed(error, { lost: taken.length - kept.length })
    }
  }

  async function clean(): Promise<void> {
    if (performance.now() < cleanAt) return
    await database.query(`delete from sluice.resource_use where hour < now() - $1::interval`, [KEPT])
    cleanAt = performance.now() + CLEAN_EVERY_MS
  }

  const loop = createLoop({
    name: 'writing what is taken',
    log,
    async runOnce() {
      await runOnce()
      await clean()
      return WRITE_EVERY_MS
    },
  })

  const meter: ResourceMeter = {
    stored({ from, next }) {
      const begins = from.version === 0 && next.version > 0
      const bytes = next.stateBytes - (begins ? 0 : from.stateBytes)
      if (!begins && bytes === 0) return
      const taken = of(next)
      if (begins) taken.executions++
      taken.payloadBytes += Math.max(0, bytes)
    },
    used(pair, { cpuMs, memoryBytes, exceeded }) {
      const handlerMemoryBytes = Math.round(memoryBytes)
      join(of(pair), {
        ...NOTHING,
        ...{ handlerAttempts: 1, handlerCpuMs: cpuMs, handlerMemoryBytes, exceeded: exceeded ? 1 : 0 },
      })
    },
    runOnce,
    start: loop.start,
    async stop() {
      await loop.stop()
      await runOnce()
    },
  }
  return meter
}

const NOTHING = {
  ...{ executions: 0, payloadBytes: 0, handlerAttempts: 0, handlerCpuMs: 0, handlerMemoryBytes: 0, exceeded: 0 },
}
const COLUMNS = ['initiatorId', 'flowId', ...(Object.keys(NOTHING) as (keyof typeof NOTHING)[])] as const

function join(taken: Taken, more: Omit<Taken, keyof Pair>): void {
  taken.executions += more.executions
  taken.payloadBytes += more.payloadBytes
  taken.handlerAttempts += more.handlerAttempts
  taken.handlerCpuMs += more.handlerCpuMs
  taken.handlerMemoryBytes = Math.max(taken.handlerMemoryBytes, more.handlerMemoryBytes)
  taken.exceeded += more.exceeded
}

const ADD = `
insert into sluice.resource_use as r (hour, initiator_id, flow_id, executions, payload_bytes, handler_attempts, handler_cpu_ms,
  handler_memory_bytes, exceeded)
select date_trunc('hour', now(), 'UTC'), u.*
from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[], $6::float8[], $7::bigint[], $8::bigint[]) as u
on conflict (hour, initiator_id, flow_id) do update set
  executions = r.executions + excluded.executions,
  payload_bytes = r.payload_bytes + excluded.payload_bytes,
  handler_attempts = r.handler_attempts + excluded.handler_attempts,
  handler_cpu_ms = r.handler_cpu_ms + excluded.handler_cpu_ms,
  handler_memory_bytes = greatest(r.handler_memory_bytes, excluded.handler_memory_bytes),
  exceeded = r.exceeded + excluded.exceeded`
