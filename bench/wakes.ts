/**
 * What it costs to wake workers, by 1, 4 and 16 of them in one process: statements for each step of a pool, sleeper, word to a parent and
 * deadline, what an idle fleet asks, and one with 10,000 sleepers due over the next hour. Counts, which a busy machine does not change.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuditKeys } from '../src/audit/audit-keys.ts'
import { AuditEvent } from '../src/audit/entities/audit-event.ts'
import { openDatabase } from '../src/database/database.ts'
import type { Database } from '../src/database/database.ts'
import { createEngine } from '../src/engine/create-engine.ts'
import type { RunningEngine } from '../src/engine/create-engine.ts'
import { ENGINE_ENTITIES } from '../src/engine/entities/all.ts'
import { defineHandler } from '../src/engine/handlers/define-handler.ts'
import { createHandlerHost } from '../src/engine/handlers/handler-host.ts'
import type { HandlerRegistry } from '../src/engine/handlers/load-handlers.ts'
import { isProblem } from '../src/errors.ts'
import { createLocalBus } from '../src/fleet/local-bus.ts'
import { newUuid } from '../src/ids.ts'
import { createLog } from '../src/log.ts'
import type { BenchServer } from './server.ts'

const WORKERS = [1, 4, 16]
const TIMES = 20
const IDLE_MS = 5_000
const HOUR_MS = 10_000
const SLEEPERS = 10_000

const slow = { type: 'handler', handler: 'slow' } as const
const quick = { type: 'handler', handler: 'quick' } as const
const FLOWS = {
  plain: { steps: { a: quick } },
  step: { steps: { a: { ...quick, pool: 'gpu' } } },
  sleeper: { steps: { a: { type: 'wait', duration: 'PT1.5S' } } },
  child: { steps: { a: slow } },
  parent: { steps: { a: { type: 'flow', flow: 'child' } } },
  deadline: { timeout: 'PT0.4S', steps: { a: slow } },
} as const
type FlowName = keyof typeof FLOWS

/** `gapMs`: between starts; none: one after the other has ended. */
const ROWS: readonly { title: string; flow: FlowName; gapMs?: number }[] = [
  { title: 'a step, for comparison', flow: 'plain' },
  { title: 'a step of a pool', flow: 'step' },
  { title: 'a sleeper', flow: 'sleeper', gapMs: 60 },
  { title: 'a parent and its child', flow: 'parent', gapMs: 60 },
  { title: 'a deadline', flow: 'deadline', gapMs: 60 },
]

export async function measureWakes(server: BenchServer): Promise<void> {
  const cells = new Map<string, string[]>()
  for (const workers of WORKERS) {
    const fleet = await openFleet(server, workers)
    const add = (title: string, value: string): unknown => cells.set(title, [...(cells.get(title) ?? []), value])
    const idle = await fleet.during(() => sleep(IDLE_MS))
    const perMs = idle.statements / idle.ms
    add('idle, statements a second', (perMs * 1_000).toFixed(0))
    for (const { title, flow, gapMs } of ROWS) {
      const used = await fleet.during(() => fleet.runAll(flow, gapMs))
      add(title, ((used.statements - perMs * used.ms) / TIMES).toFixed(0))
    }
    await fleet.addSleepers()
    const hour = await fleet.during(() => sleep(HOUR_MS))
    add('10,000 sleepers an hour, statements a second', ((hour.statements / hour.ms) * 1_000).toFixed(0))
    add('and ms of CPU a second of PostgreSQL', ((hour.cpuMs / hour.ms) * 1_000).toFixed(0))
    await fleet.close()
  }
  console.log(`Statements for each, without what an idle fleet asks meanwhile; means of ${TIMES}.`)
  console.log(`| workers | ${WORKERS.join(' | ')} |`)
  console.log(`| --- | ${WORKERS.map(() => '--:').join(' | ')} |`)
  for (const [title, values] of cells) console.log(`| ${title} | ${values.join(' | ')} |`)
}

async function openFleet(server: BenchServer, workers: number) {
  const name = `bench_wakes_${workers}`
  const log = createLog('warn')
  const connection = await server.makeDatabase(name, true)
  const owner = await server.connect(name)
  const plain = await openDatabase({ connection, entities: [...ENGINE_ENTITIES, AuditEvent], poolSize: 20, log })
  let statements = 0
  const query: Database['query'] = (...args) => {
    statements += 1
    return plain.query(...args)
  }
  const database: Database = Object.create(plain, { query: { value: query } })
  const flows = new Map<string, { flowId: string; flowVersionId: string }>()
  for (const [flow, definition] of Object.entries(FLOWS)) {
    const ids = { flowId: newUuid(), flowVersionId: newUuid() }
    flows.set(flow, ids)
    await plain.query('insert into sluice.flows (id, owner_id, name) values ($1, $2, $3)', [ids.flowId, newUuid(), flow])
    await plain.query(
      'insert into sluice.flow_versions (id, flow_id, number, definition, created_by) values ($1, $2, 1, $3, $4)',
      [ids.flowVersionId, ids.flowId, JSON.stringify({ name: flow, ...definition }), newUuid()],
    )
  }
  const registry = handlers()
  const bus = createLocalBus(log)
  const open = (enabled: boolean): RunningEngine =>
    createEngine({
      ...{ database, bus, registry, log, enabled, leaseMs: 10_000, maxHeld: 100, fenceMs: 1_000, drainMs: 100 },
      ...{ host: createHandlerHost({ registry, environment: {}, log }), pools: ['default', 'gpu'] },
      allow: { roles: new Set(), handlers: new Set(registry.keys()) },
      signAudit: createAuditKeys('protects nothing').sign,
      chooseChild: async ({ flow }) => ({ ok: true, ...flows.get(flow)!, audit: [] }),
    })
  const api = open(false)
  const engines = [api, ...Array.from({ length: workers }, () => open(true))]
  // as if they had been started one after the other
  for (const engine of engines) await engine.run().then(() => sleep(1_000 / workers))

  async function start(flow: FlowName): Promise<string> {
    const ids = flows.get(flow)!
    const program = await api.program(ids.flowVersionId)
    if (isProblem(program)) throw new Error(`${flow}: ${JSON.stringify(program)}`)
    const order = { ...ids, program, input: {}, inputText: '{}', initiatorId: newUuid(), runningLimit: 1_000_000 }
    const started = await api.start(order)
    if (isProblem(started)) throw new Error(`${flow}: ${JSON.stringify(started)}`)
    return started.executionId
  }

  return {
    async during(work: () => Promise<unknown>) {
      const before = { statements, at: performance.now(), cpuMs: (await server.counters(name)).cpuMs }
      await work()
      const ms = performance.now() - before.at
      return { statements: statements - before.statements, ms, cpuMs: (await server.counters(name)).cpuMs - before.cpuMs }
    },
    async runAll(flow: FlowName, gapMs?: number): Promise<void> {
      const started: string[] = []
      for (let n = 0; n < TIMES; n++) {
        started.push(await start(flow))
        await (gapMs === undefined ? api.ended(started[n]!, 10_000) : sleep(gapMs))
      }
      for (const id of started) await api.ended(id, 10_000)
    },
    async addSleepers(): Promise<void> {
      const { flowId, flowVersionId } = flows.get('plain')!
      await owner.query(
        `with made as (
           insert into sluice.executions
             (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at, wake_at)
           select uuidv7(), $1, $2, uuidv7(), 'PENDING', now(), 2, 1, now(), now() + n * interval '1 hour' / $3
           from generate_series(1, $3::integer) as n returning id)
         insert into sluice.execution_inputs (execution_id, body) select id, '{}' from made`,
        [flowId, flowVersionId, SLEEPERS],
      )
    },
    async close(): Promise<void> {
      for (const engine of engines) await engine.stop()
      await bus.close()
      await owner.end()
      await plain.close()
    },
  }
}

function handlers(): HandlerRegistry {
  const made = (name: string, run: (signal: AbortSignal) => Promise<unknown>) => {
    const handler = defineHandler({ name, inline: true, run: async (_input, { signal }) => (await run(signal), {}) })
    return [name, { name, inline: true, exportName: name, file: import.meta.filename, handler }] as const
  }
  return new Map([
    made('quick', () => Promise.resolve()),
    // longer than its parent is held for it
    made('slow', (signal) => sleep(1_400, undefined, { signal })),
  ])
}
