/** What attempts take of the machine is measured, and bounded though the code never gives way (D7). */
import { describe, expect, test } from 'vitest'
import type { HandlerCall } from '../../../src/engine/handlers/attempt.ts'
import type { ResourceUse } from '../../../src/engine/handlers/resource-limits.ts'
import { callOf, outputOf, recordingLog, startHost } from './house.ts'

/** The outcome of a call, and what was said of its use. */
async function measured(host: Awaited<ReturnType<typeof startHost>>, handler: string, more: Partial<HandlerCall> = {}) {
  const uses: ResourceUse[] = []
  const outcome = await host.run(callOf(handler, more.input, { ...more, used: (use) => uses.push(use) })).outcome
  return { outcome, uses }
}

test('an attempt that burns its CPU time away is RESOURCE_EXCEEDED long before its timeout, and harms no other (D7)', async () => {
  const { log, lines } = recordingLog()
  const host = await startHost({ cpuLimitMs: 500, maxProcesses: 2, log })
  const other = outputOf(host, 'waits', { ms: 300 })
  const { outcome, uses } = await measured(host, 'spin')
  expect(outcome).toEqual({ ok: false, code: 'RESOURCE_EXCEEDED', message: 'The handler took more than 500 ms of CPU time.' })
  expect(uses).toEqual([{ cpuMs: 500, memoryBytes: 0, exceeded: 'cpu' }])
  expect(lines).toContainEqual(expect.objectContaining({ handler: 'spin', resource: 'cpu', level: 40 }))
  expect(await other).toBeTypeOf('number')
  expect(await outputOf(host, 'echo', 1)).toBe(1)
})

test('waiting costs no CPU time, and each attempt has its own', async () => {
  const host = await startHost({ cpuLimitMs: 400, maxProcesses: 1 })
  for (let attempt = 0; attempt < 3; attempt++) expect(await outputOf(host, 'waits', { ms: 500 })).toBeTypeOf('number')
})

describe('memory (D7)', () => {
  test('a heap that runs full is RESOURCE_EXCEEDED and says so', async () => {
    const host = await startHost({ memoryLimitMb: 32 })
    const { outcome, uses } = await measured(host, 'out_of_memory')
    expect(outcome).toMatchObject({ code: 'RESOURCE_EXCEEDED', message: expect.stringContaining('out of memory (limit 32 MB)') })
    expect(uses).toMatchObject([{ exceeded: 'memory' }])
  })

  test('so is what lies outside of the heap', async () => {
    const host = await startHost({ memoryLimitMb: 32 })
    const { outcome, uses } = await measured(host, 'buffers')
    expect(outcome).toMatchObject({
      code: 'RESOURCE_EXCEEDED',
      message: expect.stringContaining('(160 MB with what Node needs)'),
    })
    expect(uses).toMatchObject([{ memoryBytes: 160 * 1_048_576, exceeded: 'memory' }])
  })
})

test('a handler that does not hear the signals is killed all the same', async () => {
  const host = await startHost({ cpuLimitMs: 200 })
  const { outcome } = await measured(host, 'deaf')
  expect(outcome).toMatchObject({ ok: false, code: 'HANDLER_CRASHED', message: expect.stringContaining('SIGKILL') })
})

test('what an attempt took is told once, also when it timed out or crashed', async () => {
  const host = await startHost({ maxProcesses: 1 })
  const well = await measured(host, 'echo', { input: 1 })
  expect(well.uses).toHaveLength(1)
  expect(well.uses[0]!.cpuMs).toBeGreaterThanOrEqual(0)
  expect(well.uses[0]!.memoryBytes).toBeGreaterThan(10_000_000)

  const spun = await measured(host, 'spin', { deadlineMs: 500 })
  expect(spun.outcome).toMatchObject({ code: 'TIMEOUT' })
  expect(spun.uses).toHaveLength(1)
  if (process.platform === 'linux') expect(spun.uses[0]!.cpuMs).toBeGreaterThan(100)

  const crashed = await measured(host, 'killed')
  expect(crashed.uses).toEqual([{ cpuMs: 0, memoryBytes: 0 }])
})
