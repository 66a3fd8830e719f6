/**
 * Sending answers over GraphQL: those that come while a request is under way go together in the next one, and the fewer requests the limit
 * leaves, the longer they are gathered.
 */
import { ask, TryLater } from './ask.ts'
import type { Api } from './ask.ts'
import { AgentRefused } from './channel.ts'
import type { AgentRequest, Answer, Answered } from './channel.ts'
import { pause, reasonOf, tryAgainMs } from './pause.ts'

const ANSWER = `mutation AgentAnswers($answers: [AgentAnswer!]!) { answerAgentRequests(input: { answers: $answers }) {
  ... on AnswerAgentRequestsSuccess { results { ok code message retryAfterMs } } ... on Problem { code message } } }`

/** What the server takes in one request: so many, and a body of 4 MB. */
const MOST_AT_ONCE = 100
const MOST_BYTES = 3_000_000
/** While more than this part of the minute's requests is left, nothing waits. */
const PLENTY = 1 / 2

/** They say that it is over: answered by somebody else, or by this agent before it was killed. */
const LATE = new Set(['ILLEGAL_STATE', 'NOT_FOUND', 'IDEMPOTENCY_MISMATCH'])

export interface GraphqlAnswers {
  /** Resolves when the server has said what became of it. Rejects with what it has against it, or when the signal ends it. */
  send(request: AgentRequest, answer: Answer, signal: AbortSignal): Promise<Answered>
  close(): void
}

interface Result {
  readonly ok: boolean
  readonly code: string | null
  readonly message: string | null
  readonly retryAfterMs: number | null
}

interface Waiting {
  /** an `AgentAnswer` */
  readonly answer: object
  /** infinitely many: it goes alone */
  bytes: number
  /** nobody waits for it any more */
  isOver: boolean
  settle(result: Result): void
  reject(error: Error): void
}

export function createGraphqlAnswers(api: Api): GraphqlAnswers {
  const queue = new Set<Waiting>()
  const closing = new AbortController()
  let sending: Promise<void> | undefined
  let failures = 0
  /** by `performance.now()`: nothing is sent before */
  let nextAt = 0

  async function sendAll(): Promise<void> {
    while (queue.size > 0) {
      await pause(Math.max(0, nextAt - performance.now()), closing.signal)
      const batch = takeBatch(queue)
      if (batch.length === 0) continue
      try {
        const results = await sendBatch(batch)
        failures = 0
        for (const [at, { settle }] of batch.entries()) settle(results[at]!)
      } catch (error) {
        refused(batch, error as Error)
      }
    }
  }

  async function sendBatch(batch: readonly Waiting[]): Promise<readonly Result[]> {
    const variables = { answers: batch.map(({ answer }) => answer) }
    const { answerAgentRequests: answered } = await ask<{
      answerAgentRequests: { results?: readonly Result[]; code?: string; message?: string }
    }>(api, ANSWER, variables, closing.signal, spare)
    if (answered.results === undefined) throw new AgentRefused(answered.code ?? 'VALIDATION', answered.message)
    return answered.results
  }

  function refused(batch: readonly Waiting[], error: Error): void {
    const goesAgain = error instanceof TryLater || (error instanceof AgentRefused && batch.length > 1)
    if (error instanceof TryLater) nextAt = performance.now() + error.afterMs + tryAgainMs(failures++)
    for (const one of batch) {
      if (!goesAgain) one.reject(error)
      else if (!one.isOver) queue.add(one)
      // what is wrong with one of them is the others' no more
      if (error instanceof AgentRefused) one.bytes = Number.POSITIVE_INFINITY
    }
  }

  /** By what the server says of its limit. */
  function spare(headers: Headers): void {
    const of = (name: string): number => Number(headers.get(`x-ratelimit-${name}`))
    if (of('remaining') < of('limit') * PLENTY) nextAt = performance.now() + (of('reset') * 1_000) / Math.max(1, of('remaining'))
  }

  function once(answer: object, signal: AbortSignal): Promise<Result> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        one.isOver = true
        queue.delete(one)
        signal.removeEventListener('abort', stop)
      }
      const stop = (): void => one.reject(reasonOf(signal))
      const one: Waiting = {
        ...{ answer, bytes: Buffer.byteLength(JSON.stringify(answer)), isOver: false },
        settle(result) {
          end()
          resolve(result)
        },
        reject(error) {
          end()
          reject(error)
        },
      }
      if (signal.aborted) return stop()
      signal.addEventListener('abort', stop, { once: true })
      queue.add(one)
      sending ??= sendAll()
        .catch((error: Error) => queue.forEach(({ reject: give }) => give(error)))
        .finally(() => (sending = undefined))
    })
  }

  return {
    async send({ id }, { decision, data }, signal) {
      // after a crash the same request is answered under the same key
      const answer = { id, decision, idempotencyKey: id, ...(data !== undefined && { data }) }
      for (let times = 0; ; times += 1) {
        const { ok, code, message, retryAfterMs } = await once(answer, signal)
        if (ok) return 'ACCEPTED'
        if (LATE.has(code!)) return 'LATE'
        if (code !== 'LIMIT_REACHED') throw new AgentRefused(code!, message ?? undefined)
        await pause((retryAfterMs ?? 0) + tryAgainMs(times), signal)
      }
    },
    close: () => closing.abort(),
  }
}

/** The first ones, as many as may go together; they are not in the queue any more. */
function takeBatch(queue: Set<Waiting>): Waiting[] {
  const batch: Waiting[] = []
  let bytes = 0
  for (const one of queue) {
    bytes += one.bytes
    if (batch.length > 0 && (batch.length >= MOST_AT_ONCE || bytes > MOST_BYTES)) break
    queue.delete(one)
    batch.push(one)
  }
  return batch
}
