/** What principals and flows take is added up beside the commits, and each byte and millisecond counts once (D7). */
import { Registry } from 'prom-client'
import { beforeEach, expect, test } from 'vitest'
import { createHandlerHost } from '../../src/engine/handlers/handler-host.ts'
import { loadHandlers } from '../../src/engine/handlers/load-handlers.ts'
import { measureEngine } from '../../src/engine/metrics.ts'
import { createResourceMeter } from '../../src/engine/resource-meter.ts'
import type { ResourceMeter } from '../../src/engine/resource-meter.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { watchSteps } from '../../src/engine/watch-steps.ts'
import { HANDLER_PROCESSES } from '../harness/handler-processes.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const log = createLog('silent')
const processes = { ...HANDLER_PROCESSES, log }
const handlers = await loadHandlers({ ...processes, directories: [`${import.meta.dirname}/handlers/fixtures`] })
const host = createHandlerHost({ ...processes, registry: handlers, cpuLimitMs: 2_000 })
const engine = await testEngine(database, { registry: handlers, host })

const rows = (initiatorId: string) =>
  database.query<Record<string, number>>(
    `select executions::float8, payload_bytes::float8, handler_attempts::float8, handler_cpu_ms, handler_memory_bytes::float8,
       exceeded::float8 from sluice.resource_use where initiator_id = $1`,
    [initiatorId],
  )
let pair: { initiatorId: string; flowId: string }
beforeEach(() => {
  pair = { initiatorId: newUuid(), flowId: newUuid() }
})
const USE = { cpuMs: 10, memoryBytes: 5_000 }

test('executions, bytes and the CPU time of handlers are those of who started them and of their flow (D7, A9)', async () => {
  const meter = createResourceMeter({ database, log })
  const registry = new Registry()
  measureEngine(engine, meter, registry)
  const definition = { name: 'echo', steps: { a: { type: 'handler', handler: 'echo', with: { text: '${{ input.text }}' } } } }
  const flow = await storeFlow(database, definition)
  const { initiatorId } = pair
  const text = 'x'.repeat(1_000)
  for (const id of [1, 2]) {
    const executionId = await startFlow(engine, flow, { text, id }, { initiatorId })
    await engine.ended(executionId, 20_000)
  }
  await meter.runOnce()
  await meter.runOnce()
  const [row, ...more] = await rows(initiatorId)
  expect(more).toEqual([])
  const bytes = JSON.stringify({ text, id: 1 }).length + JSON.stringify({ text }).length
  expect(row).toMatchObject({ executions: 2, payload_bytes: 2 * bytes, handler_attempts: 2, exceeded: 0 })
  expect(row!['handler_cpu_ms']).toBeGreaterThan(0)
  expect(row!['handler_memory_bytes']).toBeGreaterThan(10_000_000)

  const metrics = await registry.metrics()
  expect(metrics).toContain('sluice_handler_cpu_seconds_count{handler="echo"} 2')
  expect(metrics).toContain(`sluice_payload_bytes_total ${2 * bytes}`)
  expect(metrics).toContain('sluice_principal_most_executions 2')
  expect(metrics).not.toContain(initiatorId)
})

test('a step that takes more than it may fails with its own code, is counted, and tells those who watch (D7)', async () => {
  const meter = createResourceMeter({ database, log })
  const registry = new Registry()
  measureEngine(engine, meter, registry)
  const counted: string[] = []
  watchSteps(engine, (kind) => counted.push(kind))
  const definition = { name: 'spin', steps: { a: { type: 'handler', handler: 'spin', retry: { attempts: 1 } } } }
  const { initiatorId } = pair
  const id = await startFlow(engine, await storeFlow(database, definition), {}, { initiatorId })
  await engine.ended(id, 20_000)
  expect(await readExecution(database, id)).toMatchObject({
    ...{
      status: 'FAILED',
      error: { code: 'RESOURCE_EXCEEDED', step: 'a', message: expect.stringContaining('2000 ms of CPU time') },
    },
  })
  await meter.runOnce()
  expect(await rows(initiatorId)).toMatchObject([{ handler_attempts: 1, handler_cpu_ms: 2_000, exceeded: 1 }])
  expect(await registry.metrics()).toContain('sluice_handler_exceeded_total{handler="spin",resource="cpu"} 1')
  expect(counted).toEqual(['FAILING_STEPS', 'RESOURCES_EXCEEDED', 'FAILING_EXECUTIONS'])
})

test('processes add to the same row', async () => {
  const meters = [createResourceMeter({ database, log }), createResourceMeter({ database, log })]
  for (const meter of meters) meter.used(pair, USE)
  await Promise.all(meters.map((meter) => meter.stop()))
  expect(await rows(pair.initiatorId)).toMatchObject([{ handler_attempts: 2, handler_cpu_ms: 20, handler_memory_bytes: 5_000 }])
})

test('what the database did not take is counted on, and not twice', async () => {
  let away = true
  const query = ((...args: Parameters<typeof database.query>) =>
    away ? Promise.reject(new Error('away')) : database.query(...args)) as typeof database.query
  const meter = createResourceMeter({ database: { query }, log })
  meter.used(pair, { ...USE, exceeded: 'memory' })
  await meter.runOnce()
  meter.used(pair, { ...USE, memoryBytes: 4_000 })
  await meter.runOnce()
  away = false
  await meter.stop()
  expect(await rows(pair.initiatorId)).toMatchObject([
    { handler_attempts: 2, handler_cpu_ms: 20, handler_memory_bytes: 5_000, exceeded: 1 },
  ])
})

test('no number of principals makes it grow while the database is away', async () => {
  let asked = 0
  const query = () => (asked++, Promise.reject(new Error('away')))
  const meter: ResourceMeter = createResourceMeter({ database: { query }, log, maxPairs: 10 })
  let written = 0
  meter.onWrite = (taken) => (written = taken.length)
  for (let at = 0; at < 100; at++) {
    meter.used({ initiatorId: newUuid(), flowId: pair.flowId }, USE)
    if (at % 10 === 9) await meter.runOnce()
  }
  expect(asked).toBe(10)
  expect(written).toBe(0)
})
