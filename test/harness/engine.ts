/** An engine on a test database, with handlers of the test's own; and flows put there directly. */
import { afterAll } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { createEngine } from '../../src/engine/create-engine.ts'
import type { EngineOptions, RunningEngine } from '../../src/engine/create-engine.ts'
import type { StartOrder } from '../../src/engine/engine.ts'
import { createHandlerHost } from '../../src/engine/handlers/handler-host.ts'
import type { HandlerRegistry } from '../../src/engine/handlers/load-handlers.ts'
import { defineHandler } from '../../src/engine/handlers/define-handler.ts'
import type { HandlerContext } from '../../src/engine/handlers/define-handler.ts'
import { isProblem } from '../../src/errors.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { newUuid } from '../../src/ids.ts'
import type { Program } from '../../src/language/program.ts'
import type { Json, JsonObject } from '../../src/language/values.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { signAudit } from './audit-keys.ts'
import { chooseByName } from './choose-by-name.ts'
import { createLog } from '../../src/log.ts'

export type InlineHandlers = Record<string, (input: Json, context: HandlerContext) => unknown>

export interface TestEngineOptions extends Partial<EngineOptions> {
  handlers?: InlineHandlers
}

/** Handlers that run in the test's own process, so that the test can steer them. */
export function inlineRegistry(handlers: InlineHandlers): HandlerRegistry {
  const entries = Object.entries(handlers).map(([name, run]) => {
    const handler = defineHandler({ name, inline: true, run: async (input, context) => (await run(input, context)) as Json })
    return [name, { name, inline: true, exportName: name, file: 'test', handler }] as const
  })
  return new Map(entries)
}

/** Started, and stopped at the end of the file. */
export async function testEngine(database: Database, options: TestEngineOptions = {}): Promise<RunningEngine> {
  const log = createLog(process.env['SLUICE_TEST_LOG'] ?? 'fatal')
  const registry = options.registry ?? inlineRegistry(options.handlers ?? {})
  const engine = createEngine({
    ...{
      database,
      log,
      registry,
      signAudit,
      leaseMs: 2000,
      maxHeld: 500,
      pools: ['default'],
      fenceMs: 500,
      drainMs: 500,
      enabled: true,
    },
    bus: createLocalBus(log),
    host: createHandlerHost({ registry, environment: {}, log, graceMs: 200 }),
    allow: { roles: new Set(DEFAULT_ROLES), handlers: new Set(registry.keys()) },
    chooseChild: chooseByName(database),
    ...options,
  })
  await engine.run()
  afterAll(() => engine.stop())
  return engine
}

/** A flow and its first version, stored. */
export async function storeFlow(
  database: Database,
  definition: unknown,
  ownerId = newUuid(),
): Promise<{ flowId: string; flowVersionId: string }> {
  const flowId = newUuid()
  const flowVersionId = newUuid()
  const { name } = definition as { name: string }
  await database.query('insert into sluice.flows (id, owner_id, name) values ($1, $2, $3)', [flowId, ownerId, name])
  await database.query(
    'insert into sluice.flow_versions (id, flow_id, number, definition, created_by) values ($1, $2, 1, $3, $4)',
    [...[flowVersionId, flowId, JSON.stringify(definition), ownerId]],
  )
  return { flowId, flowVersionId }
}

/** What `engine.start` wants, with limits out of the way. Throws when the definition is not allowed. */
export async function startOrder(
  engine: RunningEngine,
  flow: { flowId: string; flowVersionId: string },
  input: JsonObject = {},
  more: Partial<StartOrder> = {},
): Promise<StartOrder> {
  const program: Program = unwrap(await engine.program(flow.flowVersionId))
  return { ...flow, program, input, inputText: JSON.stringify(input), initiatorId: newUuid(), runningLimit: 1_000_000, ...more }
}

/** Started, and its id. */
export async function startFlow(...args: Parameters<typeof startOrder>): Promise<string> {
  return unwrap(await args[0].start(await startOrder(...args))).executionId
}

export function unwrap<T>(value: T): Exclude<T, { problem: string }> {
  if (isProblem(value)) throw new Error(`${value.problem}: ${value.message} ${JSON.stringify(value.issues ?? '')}`)
  return value as Exclude<T, { problem: string }>
}

export interface StoredExecution {
  status: string
  owner: string | null
  version: number
  epoch: number
  seq: number
  error: { code: string; message: string; step?: string } | null
  reason: string | null
  output: Json
  events: { seq: number; type: string; path: string | null; at: Date; data: Json }[]
  steps: {
    path: string
    status: string
    attempt: number
    output: Json
    error: { code: string; message: string } | null
    route: string | null
  }[]
}

/** Everything stored about an execution. */
export async function readExecution(database: Database, id: string): Promise<StoredExecution> {
  const [row] = await database.query<StoredExecution>(
    `select e.status, e.owner, e.version, e.epoch, e.seq, e.error, e.reason, o.body as output
     from sluice.executions e left join sluice.execution_outputs o on o.execution_id = e.id where e.id = $1`,
    [id],
  )
  const events = await database.query<StoredExecution['events'][number]>(
    'select seq, type, path, at, data from sluice.events where execution_id = $1 order by seq',
    [id],
  )
  const steps = await database.query<StoredExecution['steps'][number]>(
    'select path, status, attempt, output, error, route from sluice.step_runs where execution_id = $1 order by finished_at, path',
    [id],
  )
  return { ...row!, events, steps }
}
