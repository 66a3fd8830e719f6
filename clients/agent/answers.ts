/** Sending answers through Redis, and hearing what became of them. */
import { randomBytes } from 'node:crypto'
import { TryLater } from './ask.ts'
import { AgentRefused } from './channel.ts'
import type { AgentRequest, Answer, Answered } from './channel.ts'
import { reasonOf } from './pause.ts'
import { duplicate } from './redis-connection.ts'
import type { RedisClient } from './redis-connection.ts'
import type { ServerKey } from './server-key.ts'
import type { Signer } from './signing.ts'

const RESPONSES = 'workflow:agent_responses'
/** Beyond, the oldest are dropped; whoever gets no reply sends again. */
const MOST_WAITING = 100_000
/** Less than a reply is waited for: whoever listens at the wrong place still gets it. */
const BLOCK_MS = 2_000
const REPLY_WITHIN_MS = 5_000
const GOOD_FOR_MS = 120_000
const BEGINNING = '0-0'

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
}

export interface AnswersOptions {
  /** stays whoever's it is */
  readonly redis: RedisClient
  readonly signer: Signer
  readonly key: ServerKey
  /** ends listening */
  readonly closing: AbortSignal
}

/** Resolves when replies are listened to. */
export async function openAnswers({ redis, signer, key, closing }: AnswersOptions): Promise<Answers> {
  const replies = `workflow:agent_replies:${signer.fingerprint}`
  const blocking = duplicate(redis, closing)
  const waiting = new Map<string, (reply: Reply) => void>()
  let last = await newest()

  async function newest(): Promise<string> {
    const [entry] = await redis.xrevrange(replies, '+', '-', 'COUNT', 1)
    return entry?.[0] ?? BEGINNING
  }

  async function listen(): Promise<void> {
    while (!closing.aborted) {
      try {
        const found = await blocking.xread('COUNT', 100, 'BLOCK', BLOCK_MS, 'STREAMS', replies, last)
        // the stream was made anew, as after an entry with the last id that there is, or when Redis lost it and its clock is behind
        if (!found && isBefore(await newest(), last)) last = BEGINNING
        for (const [entry, fields] of found?.[0]?.[1] ?? []) {
          last = entry
          await hear(fields)
        }
      } catch {
        // whoever waits for a reply sends again
        if (!closing.aborted) await new Promise((resolve) => setTimeout(resolve, 1_000))
      }
    }
  }

  async function hear([, message = '', , signature = '']: readonly string[]): Promise<void> {
    const text = await key.verified({ message, signature })
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
  }
}

/** Of two entries of a stream. */
function isBefore(one: string, other: string): boolean {
  const [[ms, seq], [otherMs, otherSeq]] = [one, other].map((entry) => entry.split('-').map(BigInt)) as [bigint[], bigint[]]
  return ms === otherMs ? seq! < otherSeq! : ms! < otherMs!
}
