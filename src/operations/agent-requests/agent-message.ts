/** The messages that servers and agents send each other over Redis, as docs/agents.md has them. Version 1; unknown fields are refused. */
import { z } from 'zod'
import { AGENT_DECISIONS } from '../../engine/states.ts'
import type { AgentDecision } from '../../engine/states.ts'
import type { AnswerRefusal, Issue, ProblemCode } from '../../errors.ts'
import type { Json } from '../../language/values.ts'

/** A question to a role, or a notice. */
export interface RoleMessage {
  v: 1
  type: 'request' | 'notice'
  id: string
  role: string
  subject: string
  /** masked; null when it is over `MAX_BODY_BYTES`: the API has it */
  body: Json
  bodyBytes: number
  /** JSON pointers to what is masked */
  redacted: readonly string[]
  execution: string
  flow: { id: string; name: string }
  step: string
  attempt: number
  createdAt: string
  /** null: it wants no answer */
  deadlineAt: string | null
}

/** What became of an answer. */
export interface ReplyMessage {
  v: 1
  type: 'reply'
  request: string
  /** of the answer */
  nonce: string
  ok: boolean
  /** an earlier answer with the same idempotency key counted, and this one is like it */
  replayed?: boolean
  code?: AnswerRefusal | ProblemCode | 'FORBIDDEN'
  message?: string
  issues?: readonly Issue[]
  retryAfterMs?: number
}

export interface AnswerMessage {
  request: string
  role: string
  decision: AgentDecision
  data?: unknown
  nonce: string
  idempotencyKey?: string | undefined
  issuedAt: number
  expiresAt: number
}

/** The fields of an entry of the stream, and of what is published. */
export const Envelope = z.strictObject({
  key: z.string().regex(/^[0-9a-f]{64}$/),
  message: z.string().min(1),
  signature: z.string().regex(/^[0-9a-f]{64}$/),
})

const MS = z.int().min(0).max(8_640_000_000_000_000)

const Answer = z.strictObject({
  v: z.literal(1),
  type: z.literal('answer'),
  request: z.string().max(100),
  role: z.string().max(100),
  decision: z.enum(AGENT_DECISIONS),
  data: z.unknown().optional(),
  nonce: z.string().regex(/^[A-Za-z0-9_-]{16,64}$/),
  idempotencyKey: z.string().min(1).max(200).optional(),
  issuedAt: MS,
  expiresAt: MS,
})

/** Undefined: it is none. */
export function readAnswer(text: string): AnswerMessage | undefined {
  return Answer.safeParse(parsed(text)).data
}

/** What an entry holds; undefined: nothing that can be read. `heard`: what was published, in one text. */
export function readEnvelope(fields: Readonly<Record<string, string>>): z.infer<typeof Envelope> | undefined {
  const { heard } = fields
  return Envelope.safeParse(heard === undefined ? fields : parsed(heard)).data
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
