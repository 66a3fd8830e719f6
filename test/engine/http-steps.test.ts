/** Calls of `http` steps as acts of workers: what becomes of them when their worker is lost, and how many run at a time. */
import type { ServerResponse } from 'node:http'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createHttpRunner } from '../../src/engine/acts/http-runner.ts'
import type { HttpRunnerOptions } from '../../src/engine/acts/http-runner.ts'
import type { EngineOptions } from '../../src/engine/create-engine.ts'
import { createLog } from '../../src/log.ts'
import { createGuardedClient } from '../../src/outbound/guarded-client.ts'
import type { CircuitSettings } from '../../src/outbound/circuits.ts'
import { readExecution, startFlow, storeFlow } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import type { SteeredEngine } from '../harness/steered-engine.ts'
import { startStubService } from '../harness/stub-service.ts'
import type { StubService } from '../harness/stub-service.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()

interface Held extends StubService {
  /** the answers it owes, oldest first */
  readonly owed: ServerResponse[]
}

/** A service that answers when the test says so. */
async function held(): Promise<Held> {
  const owed: ServerResponse[] = []
  const stub = await startStubService((_asked, response) => owed.push(response))
  onTestFinished(() => stub.close())
  return Object.assign(stub, { owed })
}

async function caller(
  { host }: StubService,
  options: Partial<EngineOptions> = {},
  more: Partial<HttpRunnerOptions> & { circuits?: CircuitSettings } = {},
): Promise<SteeredEngine> {
  const log = createLog('silent')
  const client = createGuardedClient({ allow: [host], ports: [], ...(more.circuits && { circuits: more.circuits }) })
  onTestFinished(() => client.close())
  return steeredEngine(database, { acts: { http: createHttpRunner({ client, log, ...more }) }, ...options })
}

let flows = 0
const flowOf = (call: object) => storeFlow(database, { name: `f${++flows}`, steps: { a: { type: 'http', ...call } } })
const until = (check: () => unknown): Promise<unknown> => vi.waitFor(check, { timeout: 10_000, interval: 10 })
const hasStatus = (id: string, status: string): Promise<unknown> =>
  until(async () => expect(await readExecution(database, id)).toMatchObject({ status }))
const expire = ({ engine }: SteeredEngine): Promise<unknown> =>
  database.query(`update sluice.workers set expires_at = now() - interval '1 second' where id = $1`, [engine.workerId])

test('a call whose worker is lost is made again by another, with the same key; what the first one hears is late (D9)', async () => {
  const stub = await held()
  const first = await caller(stub)
  const id = await startFlow(first.engine, await flowOf({ url: stub.url }))
  await until(() => expect(stub.asked).toHaveLength(1))
  const second = await caller(stub)
  await expire(first)
  await second.engine.worker.runOnce()
  await until(() => expect(stub.asked).toHaveLength(2))
  const [one, two] = stub.asked.map(({ headers }) => headers['idempotency-key'])
  expect(one).toBe(two)
  stub.owed[0]!.end('from the first')
  await until(async () => expect((await readExecution(database, id)).events.map(({ type }) => type)).toContain('step.late'))
  stub.owed[1]!.end('from the second')
  await hasStatus(id, 'SUCCEEDED')
  expect((await readExecution(database, id)).steps).toMatchObject([{ attempt: 1, output: { body: 'from the second' } }])
  expect(await breaches(database, { atTheEnd: false })).toEqual([])
})

test('one that may be made at most once is not made again: its outcome is unknown (D9)', async () => {
  const stub = await held()
  const first = await caller(stub)
  const id = await startFlow(first.engine, await flowOf({ url: stub.url, atMostOnce: true }))
  await until(() => expect(stub.asked).toHaveLength(1))
  const second = await caller(stub)
  await expire(first)
  await second.engine.worker.runOnce()
  await hasStatus(id, 'FAILED')
  expect(await readExecution(database, id)).toMatchObject({ error: { code: 'OUTCOME_UNKNOWN' } })
  expect(stub.asked).toHaveLength(1)
})

test('a worker that stops hands its calls back, and no step fails by it', async () => {
  const stub = await held()
  const first = await caller(stub)
  const id = await startFlow(first.engine, await flowOf({ url: stub.url }))
  await until(() => expect(stub.asked).toHaveLength(1))
  await first.engine.stop()
  expect(await readExecution(database, id)).toMatchObject({ status: 'RUNNING', owner: null, steps: [] })
  const second = await caller(stub)
  await second.engine.worker.runOnce()
  await until(() => expect(stub.asked).toHaveLength(2))
  stub.owed[1]!.end()
  await hasStatus(id, 'SUCCEEDED')
})

test.each([
  ['without secrets', {}],
  ['with secrets', { headers: { x: '${{ secrets.key }}' }, secrets: ['key'] }],
])('no more calls are under way than a worker may make; the others wait, and their time does not run: %s', async (_, call) => {
  const stub = await held()
  const openSecrets: EngineOptions['openSecrets'] = async () => ({ ok: true, values: { key: 'a key for services' } })
  const { engine } = await caller(stub, { openSecrets }, { maxCalls: 2 })
  const flow = await flowOf({ url: stub.url, timeout: 'PT1S', retry: { attempts: 1 }, ...call })
  const ids = await Promise.all(Array.from({ length: 6 }, () => startFlow(engine, flow)))
  const began = performance.now()
  for (let turn = 1; turn <= 3; turn++) {
    await until(() => expect(stub.owed).toHaveLength(2))
    expect(stub.asked).toHaveLength(2 * turn)
    // in all they wait for longer than one call may take
    await until(() => expect(performance.now() - began).toBeGreaterThan(400 * turn))
    for (const response of stub.owed.splice(0)) response.end()
  }
  for (const id of ids) await hasStatus(id, 'SUCCEEDED')
})

test('one that is canceled while it waits for room ends without having been made (A10)', async () => {
  const stub = await held()
  const { engine } = await caller(stub, {}, { maxCalls: 1 })
  const flow = await flowOf({ url: stub.url })
  const first = await startFlow(engine, flow)
  await until(() => expect(stub.asked).toHaveLength(1))
  const waiting = await startFlow(engine, flow)
  await engine.cancel({ executionId: waiting })
  await hasStatus(waiting, 'CANCELED')
  stub.owed[0]!.end()
  await hasStatus(first, 'SUCCEEDED')
  expect(stub.asked).toHaveLength(1)
})

test('one that is canceled while it is under way makes room for the next (A10)', async () => {
  const stub = await held()
  const { engine } = await caller(stub, {}, { maxCalls: 1 })
  const flow = await flowOf({ url: stub.url })
  const first = await startFlow(engine, flow)
  await until(() => expect(stub.asked).toHaveLength(1))
  const next = await startFlow(engine, flow)
  await engine.cancel({ executionId: first })
  await until(() => expect(stub.asked).toHaveLength(2))
  stub.owed[1]!.end()
  await hasStatus(next, 'SUCCEEDED')
  await hasStatus(first, 'CANCELED')
})

test('while the circuit of a service is open its steps fail at once, with CIRCUIT_OPEN, and are repeated as they say (A12)', async () => {
  const stub = await startStubService((_asked, response) => response.writeHead(503).end())
  onTestFinished(() => stub.close())
  const { engine } = await caller(stub, {}, { circuits: { failures: 2, openMs: 60_000 } })
  const flow = await flowOf({ url: stub.url, retry: { attempts: 3, delay: 'PT0.01S', on: ['CIRCUIT_OPEN'] } })
  const codes: unknown[] = []
  for (let i = 0; i < 3; i++) {
    const id = await startFlow(engine, flow)
    await hasStatus(id, 'FAILED')
    const { error, steps } = await readExecution(database, id)
    codes.push([error!.code, steps[0]!.attempt])
  }
  expect(codes).toEqual([
    ['HTTP_5XX', 1],
    ['HTTP_5XX', 1],
    ['CIRCUIT_OPEN', 3],
  ])
  expect(stub.asked).toHaveLength(2)
})
