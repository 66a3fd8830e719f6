/** Sending answers through Redis, and hearing what became of them. */
import { randomBytes } from 'node:crypto'
import { TryLater } from './ask.ts'
import { AgentRefused } from './channel.ts'
import type { AgentRequest, Answer, Answered } from './channel.ts'
import { reasonOf } from './pause.ts'
import { duplicate } from './redis-connection.ts'
import type { RedisClient } from './redis-connection.ts'
import type { Signer } from './signing.ts'

const RESPONSES = 'workflow:agent_responses'
/** Beyond, the oldest are dropped; whoever gets no reply sends again. */
const MOST_WAITING = 100_000
const BLOCK_MS = 5_000
const REPLY_WITHIN_MS = 5_000
const GOOD_FOR_MS = 120_000

/** They say that it is over: answered by somebody else, or by this agent before it was killed. */
const LATE = new Set(['ILLEGAL_STATE', 'NOT_FOUND', 'IDEMPOTENCY_MISMATCH'])
/** They pass: sent again, with another nonce and other times. */
const PASSING = new Set(['RATE_LIMITED', 'LIMIT_REACHED', 'REPLAYED', 'EXPIRED'])

interface Reply {
  readonly nonce: string
  readonly ok: boolean
  readonly code?: string
  readonly message?: string
  readonly retryAfterMs?: number
}

export interface Answers {
  /** One try. Rejects with `TryLater` when no reply came or it says so, and with `AgentRefused`. */
  send(request: AgentRequest, answer: Answer, signal: AbortSignal): Promise<Answered>
  close(): void
}

export interface AnswersOptions {
  /** stays whoever's it is */
  readonly redis: RedisClient
  readonly signer: Signer
  /** the text of a message that the server signed; undefined: it did not */
  readonly verified: (fields: Readonly<Record<string, string>>) => Promise<string | undefined>
}

/** Resolves when replies are listened to. */
export async function openAnswers({ redis, signer, verified }: AnswersOptions): Promise<Answers> {
  const replies = `workflow:agent_replies:${signer.fingerprint}`
  const blocking = duplicate(redis)
  const waiting = new Map<string, (reply: Reply) => void>()
  const [newest] = await redis.xrevrange(replies, '+', '-', 'COUNT', 1)
  let last = newest?.[0] ?? '0'
  let closed = false

  async function listen(): Promise<void> {
    while (!closed) {
      try {
        const found = await blocking.xread('COUNT', 100, 'BLOCK', BLOCK_MS, 'STREAMS', replies, last)
        for (const [entry, fields] of found?.[0]?.[1] ?? []) {
          last = entry
          await hear(fields)
        }
      } catch {
        // whoever waits for a reply sends again
        if (!closed) await new Promise((resolve) => setTimeout(resolve, 1_000))
      }
    }
  }

  async function hear([, message = '', , signature = '']: readonly string[]): Promise<void> {
    const text = await verified({ message, signature })
    if (text === undefined) return
    const reply = JSON.parse(text) as Reply
    waiting.get(reply.nonce)?.(reply)
  }

  function replyTo(nonce: string, signal: AbortSignal): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const end = AbortSignal.any([signal, AbortSignal.timeout(REPLY_WITHIN_MS)])
      const give = (): void => {
        waiting.delete(nonce)
        reject(signal.aborted ? reasonOf(signal) : new TryLater('no reply came'))
      }
      end.addEventListener('abort', give, { once: true })
      waiting.set(nonce, (reply) => {
        waiting.delete(nonce)
        end.removeEventListener('abort', give)
        resolve(reply)
      })
    })
  }

  void listen()
  return {
    async send({ id, role }, { decision, data }, signal) {
      const nonce = randomBytes(16).toString('base64url')
      // the servers' clock is near that of Redis, whatever ours is
      const [seconds, micros] = await redis.time()
      const issuedAt = Number(seconds) * 1_000 + Math.floor(Number(micros) / 1_000)
      const message = JSON.stringify({
        ...{ v: 1, type: 'answer', request: id, role, decision, ...(data !== undefined && { data }) },
        // after a crash the same request is answered under the same key
        ...{ nonce, idempotencyKey: id, issuedAt, expiresAt: issuedAt + GOOD_FOR_MS },
      })
      const fields = { key: signer.fingerprint, message, signature: signer.sign(message) }
      const replied = replyTo(nonce, signal)
      replied.catch(() => undefined)
      await redis.xadd(RESPONSES, 'MAXLEN', '~', MOST_WAITING, '*', ...Object.entries(fields).flat())
      await redis.publish(RESPONSES, '')
      const { ok, code = '', message: why = code, retryAfterMs } = await replied
      if (ok) return 'ACCEPTED'
      if (LATE.has(code)) return 'LATE'
      throw PASSING.has(code) ? new TryLater(why, retryAfterMs) : new AgentRefused(code, why)
    },
    close() {
      closed = true
      blocking.disconnect()
    },
  }
}
