/**
 * The door for answers that agents send over Redis (A14). Who signed, when, in which role, and whether it came before is judged here; what
 * the answer may do, by the use case that the API's mutation is. What is refused is audited (A7), and told to the agent that signed it.
 *
 * That nonces are remembered in Redis keeps copies away from the database. When Redis forgets them, a copy has the idempotency key of what
 * it is a copy of, and answers a request that is answered: it changes nothing.
 */
import { auditEntry } from '../../audit/record-audit.ts'
import { passes } from '../../database/when-reachable.ts'
import { ANSWER_REFUSALS } from '../../errors.ts'
import type { AnswerRefusal } from '../../errors.ts'
import type { AgentMessages, IncomingMessage } from '../../fleet/agent-messages.ts'
import { MAX_ANSWER_BYTES } from '../../fleet/agent-messages.ts'
import type { Limiter } from '../../fleet/limiter.ts'
import { findSigners, isSignedBy } from '../../identity/agent-signatures.ts'
import { findKeys } from '../../identity/api-keys.ts'
import type { AgentPrincipal } from '../../identity/principal.ts'
import { decodeId, newUuid } from '../../ids.ts'
import type { Logger } from '../../log.ts'
import type { Services } from '../call.ts'
import { readAnswer, readEnvelope } from './agent-message.ts'
import type { AnswerMessage, ReplyMessage } from './agent-message.ts'
import { resultOf } from './answer-agent-requests.ts'
import { findAnswerableRequest } from './find-answerable-request.ts'

/** An answer is good for this long at most, so that nonces need not be kept for longer. */
const LONGEST_MS = 600_000
/** How far an agent's clock may be ahead of ours. */
const AHEAD_MS = 60_000

export interface AnswerDoor {
  readonly services: Services
  readonly messages: Pick<AgentMessages, 'claimNonces' | 'reply'>
  /** answers of one key */
  readonly limiter: Limiter
  readonly log: Logger
}

/** What became of one. LATER: nothing can be stored now, take it again; FAILED: it could not be judged, take it again. */
export type AnswerOutcome = 'ACCEPTED' | 'REFUSED' | 'LATER' | 'FAILED'

/** What is known of a message, more with every look at it. */
interface Candidate {
  readonly entry: string
  /** of the key that it says it is signed by */
  fingerprint?: string
  text?: string
  /** UUID of that key, if there is one */
  keyId?: string
  /** who signed it */
  by?: AgentPrincipal
  answer?: AnswerMessage
  reply?: Omit<ReplyMessage, 'v' | 'type' | 'request' | 'nonce'>
}

/** In the order of the messages. */
export async function receiveAgentAnswers(door: AnswerDoor, messages: readonly IncomingMessage[]): Promise<AnswerOutcome[]> {
  const candidates = messages.map(({ entry, bytes, fields }) => open(entry, bytes, fields))
  await authenticate(door, candidates)
  await Promise.all(candidates.map((candidate) => judge(door, candidate)))
  await refuseCopies(door, candidates)
  return Promise.all(
    candidates.map(async (candidate) => {
      try {
        candidate.reply ??= await pass(door, candidate)
        await tell(door, candidate)
        return candidate.reply.ok ? 'ACCEPTED' : 'REFUSED'
      } catch (error) {
        door.log.warn({ err: error }, 'an answer of an agent could not be taken yet')
        return passes(error) ? 'LATER' : 'FAILED'
      }
    }),
  )
}

function open(entry: string, bytes: number, fields: IncomingMessage['fields']): Candidate & { signature?: string } {
  if (bytes > MAX_ANSWER_BYTES) return refused({ entry }, 'TOO_LARGE')
  const envelope = readEnvelope(fields)
  if (!envelope) return refused({ entry }, 'MALFORMED')
  const { key: fingerprint, message: text, signature } = envelope
  return { entry, fingerprint, text, signature }
}

/** Two statements, however many they are. */
async function authenticate(
  { services }: AnswerDoor,
  candidates: readonly (Candidate & { signature?: string })[],
): Promise<void> {
  const { database, identity, allow } = services
  const signers = await findSigners(
    database,
    identity.secretKeys,
    candidates.flatMap(({ fingerprint }) => fingerprint ?? []),
  )
  for (const candidate of candidates) {
    const { fingerprint, text, signature } = candidate
    if (fingerprint === undefined) continue
    const signer = signers.get(fingerprint)
    if (signer) candidate.keyId = signer.id
    if (!signer) refused(candidate, 'UNKNOWN_KEY')
    else if (signer.signatureKey === undefined) refused(readInto(candidate), 'KEY_CANNOT_SIGN')
    else if (!isSignedBy(text!, signature!, signer.signatureKey)) refused(candidate, 'BAD_SIGNATURE')
  }
  const ids = candidates.flatMap(({ keyId, reply }) => (keyId !== undefined && !reply ? keyId : []))
  const principals = await findKeys(database, { ids }, allow.roles)
  const now = database.clock.now()
  for (const candidate of candidates) {
    if (candidate.reply) continue
    readInto(candidate)
    const principal = principals.get(candidate.keyId!)
    if (principal?.kind === 'AGENT' && principal.expiresAt > now) candidate.by = principal
    else refused(candidate, 'KEY_ENDED')
  }
}

function readInto<Of extends Candidate>(candidate: Of): Of {
  const answer = readAnswer(candidate.text!)
  if (answer) candidate.answer = answer
  return candidate
}

async function judge({ services, limiter }: AnswerDoor, candidate: Candidate): Promise<void> {
  const { by, answer, reply } = candidate
  if (reply || !by) return
  if (!answer) return void refused(candidate, 'MALFORMED')
  const now = services.database.clock.now()
  const { issuedAt, expiresAt, role } = answer
  if (issuedAt > now + AHEAD_MS || expiresAt <= now || expiresAt > issuedAt + LONGEST_MS)
    return void refused(candidate, 'EXPIRED')
  if (!services.allow.roles.has(role)) return void refused(candidate, 'UNKNOWN_ROLE')
  if (!by.agentRoles.includes(role)) return void refused(candidate, 'WRONG_ROLE')
  const { allowed, resetMs } = await limiter.take(by.id)
  if (!allowed) refused(candidate, 'RATE_LIMITED', resetMs)
}

async function refuseCopies({ services, messages }: AnswerDoor, candidates: readonly Candidate[]): Promise<void> {
  const fresh = candidates.filter(({ reply }) => !reply)
  const now = services.database.clock.now()
  const nonces = fresh.map(({ entry, by, answer }) => ({
    ...{ entry, nonce: `${by!.id}:${answer!.nonce}`, keptMs: Math.max(1, answer!.expiresAt - now) },
  }))
  const first = await messages.claimNonces(nonces)
  for (const [at, candidate] of fresh.entries()) if (!first[at]) refused(candidate, 'REPLAYED')
}

function refused<Of extends Candidate>(candidate: Of, code: AnswerRefusal, retryAfterMs?: number): Of {
  candidate.reply = { ok: false, code, message: ANSWER_REFUSALS[code], ...(retryAfterMs !== undefined && { retryAfterMs }) }
  return candidate
}

/** Through the door that all answers go through. */
async function pass({ services, log }: AnswerDoor, { by, answer }: Candidate): Promise<NonNullable<Candidate['reply']>> {
  const { request, role, decision, data, nonce, idempotencyKey = nonce } = answer!
  const id = decodeId('agentRequest', request)
  if (id === undefined) return { ok: false, code: 'NOT_FOUND' }
  services.identity.keyUse.note(by!.id)
  const requestId = newUuid()
  const call = {
    // in the role that it says it answers in, and in no other
    principal: { ...by!, agentRoles: [role] },
    ...{ origin: {}, requestId, services, em: services.database.fork(), signal: new AbortController().signal },
    log: log.child({ requestId, principal: by!.id }),
  }
  return resultOf(call, await findAnswerableRequest(call, id), { id, decision, data, idempotencyKey })
}

async function tell(door: AnswerDoor, candidate: Candidate): Promise<void> {
  const { fingerprint, answer, by, keyId, reply } = candidate
  const code = reply!.code
  if (code !== undefined && code in ANSWER_REFUSALS) await note(door.services, by, keyId, code as AnswerRefusal)
  // only who signed it is told, or has a key that cannot: else anybody could fill the replies of others
  if (!answer || fingerprint === undefined) return
  const { request, nonce } = answer
  const text = JSON.stringify({ v: 1, type: 'reply', request, nonce, ...reply! } satisfies ReplyMessage)
  await door.messages.reply(fingerprint, { text, signature: door.services.identity.messageKeys.sign(text) })
}

/** One row a minute for each key and code, and one for all that name no key of ours: inventing names costs no memory (A2). */
async function note(
  services: Services,
  by: AgentPrincipal | undefined,
  keyId: string | undefined,
  code: AnswerRefusal,
): Promise<void> {
  const type = code === 'UNKNOWN_ROLE' ? 'agentRole.refused' : 'agentMessage.refused'
  const facts = { type, severity: 'NOTICE', success: false, errorCode: code } as const
  // whoever did not sign as this key is somebody else
  const actor = by ? { principal: by } : {}
  const entry = auditEntry({ ...actor, origin: {}, services }, facts)
  await services.refusals.record(`${keyId ?? 'unknown'} ${code}`, entry)
}
