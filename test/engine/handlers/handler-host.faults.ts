import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { callOf, isAlive, outputOf, pidIn, recordingLog, startHost, temporaryDirectory } from './house.ts'

test('a handler gets its input and the facts of its attempt, and its output comes back as compact JSON', async () => {
  const host = await startHost()
  const outcome = await host.run(callOf('echo', { a: [1, 'ä', null] })).outcome
  expect(outcome).toEqual({ ok: true, text: '{"a":[1,"ä",null]}', bytes: 19 })
  const facts = await outputOf(
    host,
    'facts',
    { x: 1 },
    { executionId: 'exec_9', path: 'poll[3].items[17]', attempt: 2, deadlineMs: 60_000 },
  )
  expect(facts).toMatchObject({ input: { x: 1 }, executionId: 'exec_9', path: 'poll[3].items[17]', attempt: 2 })
  expect(facts).toMatchObject({ idempotencyKey: 'exec_9/poll[3].items[17]' })
  const left = Date.parse((facts as { deadline: string }).deadline) - Date.now()
  expect(left).toBeGreaterThan(30_000)
  expect(left).toBeLessThanOrEqual(60_000)
})

test('a handler that is not registered is told as such (A1)', async () => {
  const host = await startHost()
  for (const name of ['nobody', '__proto__', 'constructor']) {
    expect(await host.run(callOf(name)).outcome).toMatchObject({ ok: false, code: 'HANDLER_NOT_REGISTERED' })
  }
})

test('processes are reused, their number is bounded, and further calls wait', async () => {
  const host = await startHost({ maxProcesses: 2 })
  expect(host.free).toBe(2)
  const first = await outputOf(host, 'pid')
  expect(await outputOf(host, 'pid')).toBe(first)
  const running = Array.from({ length: 6 }, () => outputOf(host, 'waits', { ms: 20 }))
  expect(host.free).toBe(0)
  expect(new Set(await Promise.all(running)).size).toBe(2)
  expect(host.free).toBe(2)
})

test('an idle process ends', async () => {
  const host = await startHost({ idleMs: 10 })
  const pid = (await outputOf(host, 'pid')) as number
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 5_000)
  expect(await outputOf(host, 'pid')).not.toBe(pid)
})

test('a handler process knows none of the secrets in the environment', async () => {
  const host = await startHost()
  const names = Object.keys((await outputOf(host, 'environment')) as object)
  expect(names).toContain('PATH')
  expect(names.filter((name) => !['PATH', 'HOME', 'TZ', 'LANG', 'NODE_ENV'].includes(name))).toEqual([])
})

test('for (;;) {} ends with TIMEOUT within deadline and grace, and others are served meanwhile', async () => {
  const host = await startHost({ maxProcesses: 2 })
  const pidFile = join(await temporaryDirectory(), 'pid')
  await outputOf(host, 'pid')
  const started = performance.now()
  let ended = false
  const spinning = host.run(callOf('spin', { pidFile }, { deadlineMs: 3_000 })).outcome.finally(() => (ended = true))
  const echoes = await Promise.all(Array.from({ length: 20 }, (_, i) => outputOf(host, 'echo', i)))
  expect(echoes).toEqual(Array.from({ length: 20 }, (_, i) => i))
  expect(ended).toBe(false)
  expect(await spinning).toEqual({ ok: false, code: 'TIMEOUT', message: 'The handler did not end within 3000 ms.' })
  expect(performance.now() - started).toBeGreaterThanOrEqual(3_200)
  expect(performance.now() - started).toBeLessThan(8_000)
  await vi.waitFor(() => expect(isAlive(pidIn(pidFile))).toBe(false), 2_000)
  expect(await outputOf(host, 'echo', 'after')).toBe('after')
})

test('what a killed handler had started is killed with it', async () => {
  const host = await startHost()
  const pidFile = join(await temporaryDirectory(), 'pid')
  const running = host.run(callOf('has_child', { pidFile }))
  await vi.waitFor(() => expect(isAlive(pidIn(pidFile))).toBe(true), 5_000)
  running.abort('enough')
  expect(await running.outcome).toMatchObject({ code: 'CANCELED' })
  await vi.waitFor(() => expect(isAlive(pidIn(pidFile))).toBe(false), 2_000)
})

test('a SIGTERM to the whole service does not end handlers: the worker decides', async () => {
  const host = await startHost({ maxProcesses: 1 })
  const pid = (await outputOf(host, 'pid')) as number
  const running = outputOf(host, 'waits', { ms: 200 })
  process.kill(pid, 'SIGTERM')
  process.kill(pid, 'SIGINT')
  expect(await running).toBe(pid)
})

test.each([
  ['exit', { code: 0 }, 'exit code 0'],
  ['exit', { code: 3 }, 'exit code 3'],
  ['killed', null, 'signal SIGKILL'],
  ['abort_process', null, 'signal SIGABRT'],
  ['disconnect', null, 'signal SIGKILL'],
  ['escapes', null, 'nobody caught me'],
  ['rejects', null, 'nobody awaited me'],
])('%s %j is HANDLER_CRASHED with what happened, and touches no other attempt', async (handler, input, what) => {
  const host = await startHost({ maxProcesses: 2 })
  const other = outputOf(host, 'waits', { ms: 1_000 })
  const outcome = await host.run(callOf(handler, input)).outcome
  expect(outcome).toMatchObject({ ok: false, code: 'HANDLER_CRASHED', message: expect.stringContaining(what) })
  expect(await outputOf(host, 'echo', 1)).toBe(1)
  expect(await other).toBeTypeOf('number')
})

test('a process whose memory fills up over attempts is replaced before it crashes one', async () => {
  const host = await startHost({ memoryLimitMb: 128, maxProcesses: 1 })
  const pids = []
  for (let i = 0; i < 8; i++) pids.push(await outputOf(host, 'leaks'))
  expect(new Set(pids).size).toBeGreaterThan(1)
  expect(new Set(pids).size).toBeLessThan(8)
})

test('a thrown error keeps its message, its stack goes to the log only', async () => {
  const { log, lines } = recordingLog()
  const host = await startHost({ log })
  const outcome = await host.run(callOf('throws', { message: 'no such order' })).outcome
  expect(outcome).toEqual({ ok: false, code: 'STEP_FAILED', message: 'no such order' })
  expect(lines).toContainEqual(expect.objectContaining({ handler: 'throws', stack: expect.stringContaining('hostile.ts') }))
  for (const retryable of [true, false]) {
    expect(await host.run(callOf('throws', { message: 'x', retryable })).outcome).toMatchObject({
      code: 'STEP_FAILED',
      retryable,
    })
  }
})

test('a message that the database could not store, or that is too long, is made storable', async () => {
  const host = await startHost()
  const odd = await host.run(callOf('throws', { message: 'a\0b\ud800c' })).outcome
  expect(odd).toMatchObject({ message: 'a\uFFFDb\uFFFDc' })
  const long = await host.run(callOf('throws', { message: '😀'.repeat(5_000) })).outcome
  expect(long).toMatchObject({ message: '😀'.repeat(1_000) })
})

test('anything can be thrown', async () => {
  const host = await startHost()
  for (const [input, message] of [
    ['nothing', 'undefined'],
    ['text', 'just text'],
    ['hostile', 'The handler threw something that cannot be read.'],
  ] as const) {
    expect(await host.run(callOf('throws_anything', input)).outcome).toEqual({ ok: false, code: 'STEP_FAILED', message })
  }
})

test.each([
  ['function', 'INVALID_OUTPUT'],
  ['bigint', 'INVALID_OUTPUT'],
  ['nan', 'INVALID_OUTPUT'],
  ['date', 'INVALID_OUTPUT'],
  ['getter', 'INVALID_OUTPUT'],
  ['cycle', 'UNSTORABLE_OUTPUT'],
  ['deep', 'UNSTORABLE_OUTPUT'],
  ['nul', 'UNSTORABLE_OUTPUT'],
  ['surrogate', 'UNSTORABLE_OUTPUT'],
  ['large', 'STATE_TOO_LARGE'],
  ['enormous', 'STATE_TOO_LARGE'],
])('an output with %s is %s', async (what, code) => {
  const host = await startHost()
  expect(await host.run(callOf('returns', what)).outcome).toMatchObject({ ok: false, code })
})

test('nothing returned is null, and 1,000,000 bytes just fit', async () => {
  const host = await startHost()
  expect(await host.run(callOf('returns', 'undefined')).outcome).toEqual({ ok: true, text: 'null', bytes: 4 })
  expect(await host.run(callOf('returns', 'exact')).outcome).toMatchObject({ ok: true, bytes: 1_000_000 })
})

test('an abort reaches the handler, the outcome is CANCELED, and the process is not used again', async () => {
  const host = await startHost({ maxProcesses: 1 })
  const pid = await outputOf(host, 'pid')
  for (const handler of ['polite', 'stubborn']) {
    const running = host.run(callOf(handler))
    running.abort('The execution was canceled.')
    running.abort('A second reason changes nothing.')
    expect(await running.outcome).toEqual({ ok: false, code: 'CANCELED', message: 'The execution was canceled.' })
  }
  expect(await outputOf(host, 'pid')).not.toBe(pid)
})

test('a handler that answers its abort with a result still has timed out', async () => {
  const host = await startHost({ graceMs: 10_000 })
  await outputOf(host, 'pid')
  const started = performance.now()
  expect(await host.run(callOf('stubborn', null, { deadlineMs: 100 })).outcome).toMatchObject({ code: 'TIMEOUT' })
  expect(performance.now() - started).toBeLessThan(5_000)
})

test('an abort after the end changes nothing', async () => {
  const host = await startHost()
  const running = host.run(callOf('echo', 1))
  const outcome = await running.outcome
  running.abort('too late')
  expect(await running.outcome).toBe(outcome)
  expect(await outputOf(host, 'echo', 2)).toBe(2)
})

test('a call that waits for a process is canceled at once and times out by itself', async () => {
  const host = await startHost({ maxProcesses: 1 })
  const busy = host.run(callOf('polite'))
  const canceled = host.run(callOf('echo'))
  const late = host.run(callOf('echo', null, { deadlineMs: 30 }))
  const next = host.run(callOf('echo', 'next'))
  canceled.abort('not wanted')
  expect(await canceled.outcome).toMatchObject({ code: 'CANCELED', message: 'not wanted' })
  expect(await late.outcome).toEqual({ ok: false, code: 'TIMEOUT', message: 'No process was free for it within 30 ms.' })
  busy.abort('make room')
  expect(await next.outcome).toMatchObject({ ok: true, text: '"next"' })
})

test.each([0, -5, NaN])('a call with %d ms left never begins', async (deadlineMs) => {
  const host = await startHost()
  expect(await host.run(callOf('echo', null, { deadlineMs })).outcome).toMatchObject({ code: 'TIMEOUT' })
  expect(host.free).toBe(8)
})

test.each(['throw', 'reject', 'exit'])(
  'what an ended attempt left behind (%s) does not disturb the next one in its process',
  async (how) => {
    const host = await startHost({ maxProcesses: 1 })
    const pid = await outputOf(host, 'leaves_mess', how)
    expect(await outputOf(host, 'waits', { ms: 1_000 })).toBe(pid)
    expect(await outputOf(host, 'pid')).not.toBe(pid)
  },
)

test('a process in which something left behind throws while it is idle is not used again', async () => {
  const host = await startHost({ maxProcesses: 1 })
  const pid = (await outputOf(host, 'leaves_mess', 'throw')) as number
  await vi.waitFor(() => expect(isAlive(pid)).toBe(false), 5_000)
  expect(await outputOf(host, 'pid')).not.toBe(pid)
})

test('a second answer changes nothing, for its own attempt and for the next', async () => {
  const host = await startHost({ maxProcesses: 1 })
  expect(await outputOf(host, 'replies_twice')).toBe(1)
  expect(await outputOf(host, 'echo', 'mine')).toBe('mine')
  expect(await outputOf(host, 'forges')).toBe('honest')
  expect(await outputOf(host, 'echo', 'mine')).toBe('mine')
})

test('a handler may print as much as it likes without slowing the worker for ever', async () => {
  const { log, lines } = recordingLog()
  const host = await startHost({ log, maxProcesses: 1 })
  const pid = await outputOf(host, 'prints', { lines: 1 })
  expect(lines.some((line) => line.msg === 'handler output')).toBe(true)
  expect(await outputOf(host, 'prints', { lines: 20_000 })).toBe(pid)
  await vi.waitFor(async () => expect(await outputOf(host, 'pid')).not.toBe(pid), 5_000)
  expect(lines.length).toBeLessThan(2_000)
})

test('context.log writes to the log, bounded in number and length', async () => {
  const { log, lines } = recordingLog()
  const host = await startHost({ log })
  await outputOf(host, 'report', null, { executionId: 'exec_7', path: 'a' })
  const written = lines.filter((line) => line.executionId === 'exec_7')
  expect(written).toHaveLength(100)
  expect(written[0]).toMatchObject({ handler: 'report', path: 'a', msg: expect.stringMatching(/^0 x/) })
  expect((written[0]!.msg as string).length).toBe(2_000)
})

test('a worker that cannot start processes says so and goes on', async () => {
  const host = await startHost({ environment: { PATH: 'x'.repeat(4_000_000) } })
  expect(await host.run(callOf('echo')).outcome).toMatchObject({
    code: 'HANDLER_CRASHED',
    message: expect.stringContaining('could not be started'),
  })
  await vi.waitFor(() => expect(host.free).toBe(8))
})

test('an input that cannot be sent fails its own call only', async () => {
  const host = await startHost({ maxProcesses: 1 })
  expect(await host.run(callOf('echo', (() => 1) as never)).outcome).toMatchObject({ ok: false, code: 'HANDLER_CRASHED' })
  expect(await outputOf(host, 'echo', 1)).toBe(1)
})

test('close cancels what runs and waits, hanging handlers included, until every process is gone', async () => {
  const host = await startHost({ maxProcesses: 2 })
  const pidFile = join(await temporaryDirectory(), 'pid')
  const pid = (await outputOf(host, 'pid')) as number
  const running = [host.run(callOf('spin', { pidFile })), host.run(callOf('polite')), host.run(callOf('echo'))]
  await vi.waitFor(() => expect(isAlive(pidIn(pidFile))).toBe(true), 5_000)
  await Promise.all([host.close(), host.close()])
  for (const { outcome } of running) expect(await outcome).toMatchObject({ ok: false, code: 'CANCELED' })
  expect([pid, pidIn(pidFile)].map(isAlive)).toEqual([false, false])
  expect(await host.run(callOf('echo')).outcome).toMatchObject({ code: 'CANCELED' })
})
