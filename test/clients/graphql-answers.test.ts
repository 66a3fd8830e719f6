/** How @sluice/agent sends answers over GraphQL: many together, none lost by another, no more requests than the server has left. */
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test, vi } from 'vitest'
import { createAgent } from '../../clients/agent/agent.ts'
import { ask } from '../../clients/agent/ask.ts'
import { createGraphqlAnswers } from '../../clients/agent/graphql-answers.ts'
import { startStubService } from '../harness/stub-service.ts'

interface Sent {
  readonly id: string
  readonly data?: unknown
}

/** `answer` says what the server answers to these; whatever it throws goes as the text of an error of GraphQL. */
async function talkTo(answer: (sent: readonly Sent[], times: number) => object, headers: Record<string, string> = {}) {
  const batches: (readonly Sent[])[] = []
  const service = await startStubService((asked, response) => {
    const sent = JSON.parse(asked.body).variables.answers as readonly Sent[]
    batches.push(sent)
    response.writeHead(200, { 'content-type': 'application/json', ...headers })
    response.end(JSON.stringify(answer(sent, batches.length)))
  })
  const answers = createGraphqlAnswers({ url: service.url, apiKey: 'slk_none' })
  onTestFinished(async () => {
    answers.close()
    await service.close()
  })
  const asked = {
    role: 'ceo',
    subject: '',
    body: {},
    step: '',
    execution: undefined,
    createdAt: new Date(),
    deadlineAt: new Date(),
  }
  const send = (id: string, data?: unknown, { signal } = new AbortController()) =>
    answers.send({ id, ...asked }, { decision: 'APPROVE', data }, signal)
  return { batches, send, sizes: () => batches.map(({ length }) => length) }
}

const each = (sent: readonly Sent[], result: object = { ok: true }): object => ({
  data: { answerAgentRequests: { results: sent.map(() => result) } },
})
const fault = (code: string, more: object = {}): object => ({ errors: [{ message: code, extensions: { code, ...more } }] })
const ids = (count: number): string[] => Array.from({ length: count }, (_, at) => `ask_${at}`)

test('answers that come while a request is under way go together in the next one, at most a hundred', async () => {
  const { send, sizes, batches } = await talkTo((sent) => each(sent))
  const first = send('first')
  await expect.poll(() => batches.length).toBe(1)
  expect(new Set(await Promise.all([first, ...ids(250).map((id) => send(id))]))).toEqual(new Set(['ACCEPTED']))
  expect(sizes()).toEqual([1, 100, 100, 50])
})

test('large answers share no body that is too large for the server', async () => {
  const { send, sizes } = await talkTo((sent) => each(sent))
  await Promise.all(ids(5).map((id) => send(id, 'x'.repeat(900_000))))
  expect(sizes()).toEqual([3, 2])
})

test('each is told what became of it; what makes the server refuse them all is told to nobody else', async () => {
  const { send } = await talkTo((sent) => {
    if (sent.some(({ data }) => data === 'poison')) return fault('BAD_REQUEST')
    const results = sent.map(({ id }) => (id === 'ask_1' ? { ok: false, code: 'ILLEGAL_STATE' } : { ok: true }))
    return { data: { answerAgentRequests: { results } } }
  })
  const told = await Promise.allSettled(ids(4).map((id) => send(id, id === 'ask_2' ? 'poison' : undefined)))
  expect(told).toMatchObject([
    { value: 'ACCEPTED' },
    { value: 'LATE' },
    { reason: { name: 'AgentRefused', code: 'BAD_REQUEST' } },
    { value: 'ACCEPTED' },
  ])
})

test('what the server has no room for comes again when it says so, together; what nobody waits for any more does not', async () => {
  const refused = { code: 'RATE_LIMITED', retryAfterMs: 300 }
  const { send, batches } = await talkTo((sent, times) => (times === 1 ? fault(refused.code, refused) : each(sent)))
  const gone = new AbortController()
  const given = send('ask_gone', undefined, gone)
  const rest = ids(3).map((id) => send(id))
  await expect.poll(() => batches.length).toBe(1)
  const began = performance.now()
  await pause(20)
  gone.abort()
  await expect(given).rejects.toThrow()
  await Promise.all(rest)
  expect(performance.now() - began).toBeGreaterThan(250)
  expect(batches.slice(1).map((batch) => batch.map(({ id }) => id))).toEqual([['ask_0', 'ask_1', 'ask_2']])
})

test('the fewer requests the limit leaves, the longer answers are gathered (B3)', async () => {
  const left = { 'x-ratelimit-limit': '100', 'x-ratelimit-remaining': '10', 'x-ratelimit-reset': '3' }
  const { send, sizes } = await talkTo((sent) => each(sent), left)
  await send('first')
  const began = performance.now()
  const slowly = ids(6).map(async (id, at) => {
    await pause(at * 20)
    return send(id)
  })
  await Promise.all(slowly)
  expect(performance.now() - began).toBeGreaterThan(250)
  expect(sizes()).toEqual([1, 6])
})

/** The time that a request may take is over when the test says so. */
function timeLimit(): { over(): void; readonly askedMs: readonly number[] } {
  const limits: AbortController[] = []
  const askedMs: number[] = []
  const spy = vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
    const limit = new AbortController()
    limits.push(limit)
    askedMs.push(ms)
    return limit.signal
  })
  onTestFinished(() => spy.mockRestore())
  return { askedMs, over: () => limits.forEach((limit) => limit.abort(new DOMException('too late', 'TimeoutError'))) }
}

test('answers that a silent network keeps are sent again when their time is over', async () => {
  const limit = timeLimit()
  let times = 0
  const service = await startStubService(({ body }, response) => {
    times += 1
    if (times === 1) return
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end(JSON.stringify(each(JSON.parse(body).variables.answers)))
  })
  const answers = createGraphqlAnswers({ url: service.url, apiKey: 'slk_none' })
  onTestFinished(async () => {
    answers.close()
    await service.close()
  })
  const request = { id: 'ask_1', role: 'ceo', subject: '', body: {}, step: '', execution: undefined }
  const dates = { createdAt: new Date(), deadlineAt: new Date() }
  const sent = answers.send({ ...request, ...dates }, { decision: 'APPROVE' }, new AbortController().signal)
  await expect.poll(() => times).toBe(1)
  limit.over()
  expect(await sent).toBe('ACCEPTED')
  expect(limit.askedMs).toEqual([30_000, 30_000])
})

test('a question says by whom it was ended: by whoever asked, or by the time, also in the midst of an answer', async () => {
  const limit = timeLimit()
  const service = await startStubService((_asked, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{"data":')
  })
  onTestFinished(() => service.close())
  const stopping = new AbortController()
  const put = () => ask({ url: service.url, apiKey: 'slk_none' }, '{ me }', {}, stopping.signal)
  const late = put()
  await expect.poll(() => service.asked.length).toBe(1)
  limit.over()
  await expect(late).rejects.toMatchObject({ name: 'TryLater' })
  const ended = put()
  await expect.poll(() => service.asked.length).toBe(2)
  stopping.abort(new Error('that is enough'))
  await expect(ended).rejects.toThrow('that is enough')
})

test('an agent that is stopped while nobody answers its start has started, and ended', async () => {
  const service = await startStubService(() => undefined)
  onTestFinished(() => service.close())
  const agent = createAgent({ url: service.url, apiKey: 'slk_none', roles: ['ceo'], onRequest: () => undefined })
  const started = agent.start()
  await expect.poll(() => service.asked.length).toBe(1)
  await agent.stop()
  await started
  expect(await agent.ended).toBeUndefined()
})
