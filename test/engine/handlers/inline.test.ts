import { expect, test } from 'vitest'
import { callOf, outputOf, recordingLog, startHost } from './house.ts'

test('a handler declared inline runs in the worker itself, at once or later', async () => {
  const host = await startHost()
  expect(await outputOf(host, 'inline_pid')).toBe(process.pid)
  expect(await host.run(callOf('inline_echo', { a: 1 })).outcome).toEqual({ ok: true, text: '{"a":1}', bytes: 7 })
  expect(await outputOf(host, 'inline_later', 'x')).toBe('x')
  expect(host.free).toBe(8)
})

test('an isolated call is never inline', async () => {
  const host = await startHost()
  expect(await outputOf(host, 'inline_pid', null, { isolated: true })).not.toBe(process.pid)
})

test('an inline handler that throws or returns something else than JSON fails as any other', async () => {
  const { log, lines } = recordingLog()
  const host = await startHost({ log })
  expect(await host.run(callOf('inline_throws')).outcome).toEqual({ ok: false, code: 'STEP_FAILED', message: 'inline no' })
  expect(lines).toContainEqual(expect.objectContaining({ handler: 'inline_throws', stack: expect.stringContaining('inline.ts') }))
  expect(await host.run(callOf('inline_bigint')).outcome).toMatchObject({ ok: false, code: 'INVALID_OUTPUT' })
})

test('an inline handler cannot change its input, which is part of the state', async () => {
  const host = await startHost()
  const input = { list: [3, 1, 2] }
  expect(await host.run(callOf('inline_writes', input)).outcome).toMatchObject({ ok: false, code: 'STEP_FAILED' })
  expect(input).toEqual({ list: [3, 1, 2] })
})

test('an inline handler that heeds its signal ends with TIMEOUT at the deadline', async () => {
  const host = await startHost({ graceMs: 60_000 })
  const outcome = await host.run(callOf('inline_polite', null, { deadlineMs: 20 })).outcome
  expect(outcome).toEqual({ ok: false, code: 'TIMEOUT', message: 'The handler did not end within 20 ms.' })
})

test('an inline handler that ignores its signal has timed out after deadline and grace all the same', async () => {
  const host = await startHost({ graceMs: 50 })
  const started = performance.now()
  expect(await host.run(callOf('inline_stubborn', null, { deadlineMs: 20 })).outcome).toMatchObject({ code: 'TIMEOUT' })
  const took = performance.now() - started
  expect(took).toBeGreaterThanOrEqual(70)
  expect(took).toBeLessThan(500)
})

test('an inline handler is canceled by an abort, and by closing the host', async () => {
  const host = await startHost({ graceMs: 50 })
  const running = host.run(callOf('inline_polite'))
  running.abort('not needed')
  expect(await running.outcome).toEqual({ ok: false, code: 'CANCELED', message: 'not needed' })
  const both = [host.run(callOf('inline_polite')), host.run(callOf('inline_stubborn'))]
  await host.close()
  for (const { outcome } of both) expect(await outcome).toMatchObject({ code: 'CANCELED' })
})
