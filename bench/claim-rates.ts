/**
 * Claims a second by 1, 4 and 16 workers, with dispatch by PostgreSQL and by BullMQ side by side: of a backlog, and of executions that
 * become ready one by one, where also counts how many claims were tried for each that succeeded. Needs `redis-server`.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { Registry } from 'prom-client'
import { openDatabase } from '../src/database/database.ts'
import type { Database } from '../src/database/database.ts'
import { createClaimer } from '../src/engine/claimer.ts'
import type { Dispatch } from '../src/fleet/dispatch.ts'
import { createLocalBus } from '../src/fleet/local-bus.ts'
import { createPostgresDispatch } from '../src/fleet/postgres-dispatch.ts'
import { connectRedis } from '../src/fleet/redis-connection.ts'
import type { RedisConnection } from '../src/fleet/redis-connection.ts'
import { createRedisDispatch } from '../src/fleet/redis-dispatch.ts'
import { newUuid } from '../src/ids.ts'
import { DEFAULT_POOL } from '../src/language/around/pool.ts'
import { createLog } from '../src/log.ts'
import { createLoop } from '../src/loop.ts'
import { quantile } from './report.ts'
import type { BenchServer } from './server.ts'

const WORKERS = [1, 4, 16]
/** A look has its time, and goes on in the next one. */
const LOOK_MS = 100
const KINDS = ['postgres', 'redis'] as const
const PORT = 7_399

interface Sizes {
  rounds: number
  backlog: number
  oneByOne: number
}

/** As one process with this many workers would hold it: each holds what it claimed for a moment. */
const MAX_HELD = 500

export async function measureRates(server: BenchServer, { rounds, backlog, oneByOne }: Sizes): Promise<void> {
  const log = createLog('silent')
  const database = await openDatabase({
    ...{ connection: await server.makeDatabase('bench_rates', true), entities: [], poolSize: 20, log },
  })
  const owner = await server.connect('bench_rates')
  const redisServer = await startRedis()
  const redis = await connectRedis(`redis://127.0.0.1:${PORT}`, log)
  const client = await redis.reached
  // of all that dispatch by it in this process
  client.setMaxListeners(100)
  const rates = new Map<string, number[]>()
  const note = (row: string, value: number): void => void rates.set(row, [...(rates.get(row) ?? []), value])
  try {
    // the first round warms up
    for (let round = -1; round < rounds; round++) {
      if (round === 0) rates.clear()
      for (const workers of WORKERS) {
        for (const kind of KINDS) {
          await owner.query('truncate sluice.executions, sluice.workers cascade')
          await client.flushall()
          const fleet = openFleet({ kind, workers, database, redis })
          const one = await fleet.backlog(await makeReady(owner, backlog))
          await owner.query('truncate sluice.executions cascade')
          const two = await fleet.oneByOne(await makeReady(owner, oneByOne, true), (id) =>
            owner.query(`update sluice.executions set wake_at = null where id = $1`, [id]),
          )
          await fleet.stop()
          note(`${workers} ${kind} backlog`, one)
          note(`${workers} ${kind} latency`, two.latencyMs)
          note(`${workers} ${kind} tries`, two.tries)
        }
      }
    }
  } finally {
    redis.close()
    redisServer.kill('SIGKILL')
    await owner.end()
    await database.close()
  }
  const median = (row: string): number => quantile(rates.get(row)!, 0.5)
  console.log(`Claims a second, medians of ${rounds} interleaved rounds: ${backlog} ready ones; then ${oneByOne}, one by one.`)
  console.log(
    '| workers | backlog, PostgreSQL | BullMQ | ratio | one by one, ms until claimed, PostgreSQL | BullMQ | claims tried for each, PostgreSQL | BullMQ |',
  )
  console.log('| ------: | --: | --: | --: | --: | --: | --: | --: |')
  for (const workers of WORKERS) {
    const [postgres, bull] = KINDS.map((kind) => median(`${workers} ${kind} backlog`)) as [number, number]
    const rest = ['latency', 'tries'].flatMap((what) => KINDS.map((kind) => median(`${workers} ${kind} ${what}`).toFixed(1)))
    console.log(`| ${[workers, postgres.toFixed(0), bull.toFixed(0), (bull / postgres).toFixed(2), ...rest].join(' | ')} |`)
  }
}

/** `waiting`: not ready yet. */
async function makeReady(owner: { query: BenchQuery }, count: number, waiting = false): Promise<string[]> {
  const { rows } = await owner.query(
    `insert into sluice.executions
       (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at, wake_at)
     select uuidv7(), uuidv7(), uuidv7(), ('00000000-0000-4000-8000-' || lpad(to_hex(n % 50), 12, '0'))::uuid, 'PENDING', now(), 2, 3,
       now(), case when $2 then 'infinity'::timestamptz end
     from generate_series(1, $1::integer) as n returning id`,
    [count, waiting],
  )
  return rows.map(({ id }) => id)
}
type BenchQuery = (text: string, params: unknown[]) => Promise<{ rows: { id: string }[] }>

interface FleetOptions {
  kind: (typeof KINDS)[number]
  workers: number
  database: Database
  redis: RedisConnection
}

/** Workers that claim and do nothing else; each with a dispatch of its own, as in processes of their own. */
function openFleet({ kind, workers, database, redis }: FleetOptions) {
  const log = createLog('silent')
  const bus = createLocalBus(log)
  const open = (): Dispatch =>
    kind === 'redis' ? createRedisDispatch({ redis, bus, log, registry: new Registry() }) : createPostgresDispatch(bus)
  const api = open()
  const dispatches: Dispatch[] = [api]
  let tries = 0
  let claimed = 0
  let onClaimed: (ids: readonly string[]) => void = () => {}
  const counted: Pick<Database, 'query'> = {
    query: (text, params) => {
      tries += 1
      return database.query(text, params)
    },
  }

  async function start(): Promise<() => Promise<void>> {
    const workerId = newUuid()
    await database.query(`insert into sluice.workers (id, expires_at) values ($1, now() + interval '1 hour')`, [workerId])
    let held = 0
    // a worker looks when it starts; here that would take from Redis what is to be measured
    let readyLookAt = performance.now() + (kind === 'redis' ? 5_000 : 0)
    const dispatch = open()
    dispatches.push(dispatch)
    const claimer = createClaimer({
      ...{ database: counted as Database, workerId, pools: [DEFAULT_POOL], maxHeld: MAX_HELD, log },
      ...{ held: () => held, mayClaim: () => true },
      claimed(count) {
        claimed += count
      },
      async hold(ids) {
        held += ids.length
        onClaimed(ids)
        setImmediate(() => {
          held -= ids.length
          serving.wake()
        })
      },
    })
    const loop = createLoop({
      ...{ name: 'claim', log },
      async runOnce() {
        const ready = performance.now() >= readyLookAt
        if (ready) readyLookAt = performance.now() + dispatch.lookEveryMs
        const began = performance.now()
        await claimer.look(ready)
        return performance.now() - began < LOOK_MS ? 1_000 : 0
      },
    })
    const serving = dispatch.serve([DEFAULT_POOL], {
      ...{ room: claimer.room, take: claimer.take, hasRoomForSteps: () => true, takeSteps: () => Promise.resolve(0) },
      look() {
        readyLookAt = 0
        loop.wake()
      },
    })
    loop.start()
    return async () => {
      await Promise.all([serving.stop(), loop.stop()])
    }
  }

  const offer = (executionId: string): void => api.offer({ pool: DEFAULT_POOL, executionId, version: 1, priority: 0 })
  const allClaimed = (wanted: number): Promise<void> =>
    new Promise((resolve) => {
      onClaimed = () => claimed >= wanted && resolve()
    })
  let stops: (() => Promise<void>)[] = []

  return {
    /** Claims a second, from when the workers start until the last is claimed. */
    async backlog(ids: string[]): Promise<number> {
      for (const id of ids) offer(id)
      // Redis has them all before it begins
      await new Promise((resolve) => setTimeout(resolve, kind === 'redis' ? 500 + ids.length / 5 : 0))
      const done = allClaimed(ids.length)
      const began = performance.now()
      stops = await Promise.all(Array.from({ length: workers }, start))
      await done
      return (ids.length / (performance.now() - began)) * 1_000
    },
    /** Each is ready when the one before it was claimed. */
    async oneByOne(ids: string[], ready: (id: string) => Promise<unknown>): Promise<{ latencyMs: number; tries: number }> {
      const latencies: number[] = []
      // what the backlog left to be looked at
      await new Promise((resolve) => setTimeout(resolve, 200))
      const before = tries
      for (const id of ids) {
        const done = new Promise<void>((resolve) => {
          onClaimed = (claimedIds) => claimedIds.includes(id) && resolve()
        })
        await ready(id)
        const began = performance.now()
        offer(id)
        await done
        latencies.push(performance.now() - began)
      }
      return { latencyMs: quantile(latencies, 0.5), tries: (tries - before) / ids.length }
    },
    async stop(): Promise<void> {
      await Promise.all(stops.map((stop) => stop()))
      await Promise.all(dispatches.map((dispatch) => dispatch.close()))
      await bus.close()
    },
  }
}

async function startRedis(): Promise<ChildProcess> {
  const server = spawn('redis-server', ['--port', String(PORT), '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(server.stdout, 'data')
  return server
}
