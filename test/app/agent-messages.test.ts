/** Agents over Redis: what they are asked lies in their streams, what they answer counts once, and what is forged, stale or copied does not. */
import { createHash, createHmac, createPublicKey, randomBytes, verify } from 'node:crypto'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { featureApproval } from '../../examples/flows/feature-approval.ts'
import { createAgentInbox } from '../../src/app/agent-inbox.ts'
import { createAgentOutbox } from '../../src/app/agent-outbox.ts'
import { ANSWER_REFUSALS, Fault } from '../../src/errors.ts'
import type { AnswerRefusal } from '../../src/errors.ts'
import { MAX_ANSWER_BYTES } from '../../src/fleet/agent-messages.ts'
import type { LimitState } from '../../src/fleet/limiter.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { createAgentMessages } from '../../src/fleet/redis-agent-messages.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createMessageKeys } from '../../src/identity/message-keys.ts'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { agentRequestChanges } from '../../src/live/change-log.ts'
import { createLog } from '../../src/log.ts'
import type { RoleMessage } from '../../src/operations/agent-requests/agent-message.ts'
import { startExecution } from '../../src/operations/executions/start-execution.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { grantFlowAccess } from '../../src/operations/flows/grant-flow-access.ts'
import { createApiKey } from '../../src/operations/people/create-api-key.ts'
import { revokeApiKey } from '../../src/operations/people/revoke-api-key.ts'
import { testApi } from '../harness/api.ts'
import { documentedUser } from '../harness/documented-acl.ts'
import { unwrap } from '../harness/engine.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'

const RESPONSES = 'workflow:agent_responses'
const ROLES = ['ceo', 'cto', 'product_manager'] as const

describe.skipIf(!hasRedis)('agents over Redis (A14)', async () => {
  if (!hasRedis) return
  const server = await testRedis()
  const { call, person, services, database, bus, engine, ownerQuery } = await testApi()
  const log = createLog('silent')
  const redis = new Redis(server.url)
  const connection = await connectRedis(await documentedUser(redis, 'servers'), log)
  const messages = createAgentMessages({ redis: connection, log })
  const leader = { isMine: () => Promise.resolve(true) }
  const newOutbox = () => createAgentOutbox({ services, messages, changes: agentRequestChanges(database), bus, leader, log })
  const outbox = newOutbox()
  /** What is committed while an older transaction runs, of another database too, is told when that has ended. */
  const deliver = async (by = outbox): Promise<void> => {
    while ((await by.runOnce()) < 1_000) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const allowed: LimitState = { allowed: true, limit: 1, remaining: 1, resetMs: 1 }
  const limits = { next: allowed }
  const limiter = { ...createMemoryLimiter({ name: 'test', points: 1 }), take: () => Promise.resolve(limits.next) }
  const inbox = createAgentInbox({ messages, door: { services, messages, limiter, log }, log })
  afterAll(async () => {
    await messages.close()
    connection.close()
    redis.disconnect()
  })

  let owner: UserPrincipal
  let admin: UserPrincipal
  let flowId: string
  beforeAll(async () => {
    owner = await person()
    admin = await person('ADMIN')
    flowId = unwrap(await createFlow(call(owner), { definition: featureApproval, visibility: 'PRIVATE' })).id
    const grants = ROLES.map((agentRole) => ({ to: { agentRole }, action: 'EXECUTE' as const }))
    unwrap(await grantFlowAccess(call(owner), { flowId, grants }))
  })

  /** As an agent does it, with nothing of ours: docs/agents.md. */
  interface Agent {
    readonly key: string
    readonly id: string
    readonly signatureKey: Buffer
  }
  async function agent(...agentRoles: string[]): Promise<Agent> {
    const made = unwrap(await createApiKey(call(admin), { name: 'agent', agentRoles, scopes: ['REQUESTS_ANSWER'] }))
    return {
      key: createHash('sha256').update(made.secret).digest('hex'),
      id: made.apiKey.id,
      signatureKey: createHmac('sha256', made.secret).update('sluice agent messages 1').digest(),
    }
  }
  const sign = ({ signatureKey }: Agent, text: string): string => createHmac('sha256', signatureKey).update(text).digest('hex')
  const answerTo = (request: string, more: object = {}): string => {
    const now = Date.now()
    const nonce = randomBytes(16).toString('base64url')
    const answer = { v: 1, type: 'answer', request, role: 'ceo', decision: 'APPROVE', data: { why: 'good' } }
    return JSON.stringify({ ...answer, nonce, issuedAt: now, expiresAt: now + 60_000, ...more })
  }
  const send = (fields: Record<string, string>) => redis.xadd(RESPONSES, '*', ...Object.entries(fields).flat())
  const sendSigned = (by: Agent, message: string) => send({ key: by.key, message, signature: sign(by, message) })
  const take = () => inbox.runOnce()
  const repliesTo = async ({ key }: Agent) =>
    (await redis.xrange(`workflow:agent_replies:${key}`, '-', '+')).map(([, fields]) => verified(fields))

  /** What the server signed, with its public key alone. */
  function verified(fields: string[]) {
    const [, text, , signature] = fields as [string, string, string, string]
    const { publicKey } = services.identity.messageKeys
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' })
    expect(verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'))).toBe(true)
    return JSON.parse(text)
  }
  const streamOf = async (role: string): Promise<RoleMessage[]> =>
    (await redis.xrange(`messages:${role}`, '-', '+')).map(([, fields]) => verified(fields))

  /** An execution that waits for the ceo; the id of its request. */
  async function ask(more: object = {}): Promise<{ executionId: string; request: string }> {
    const input = { feature_name: 'moon base', estimated_cost: 2_000_000, ...more }
    const { executionId } = unwrap(await startExecution(call(owner), { flow: encodeId('flow', flowId), input, waitMs: 0 }))
    const [row] = await ownerQuery<{ id: string }>('select id from sluice.agent_requests where execution_id = $1', [executionId])
    return { executionId, request: encodeId('agentRequest', row!.id) }
  }
  const rowOf = async (request: string) =>
    (
      await ownerQuery<{ status: string; decision: string; answer: unknown; answered_by: string }>(
        'select * from sluice.agent_requests where id = $1',
        [decodeId('agentRequest', request)],
      )
    )[0]!

  test('a request lies in the stream of its role, signed, until it is answered; the answer ends the step, the notice follows', async () => {
    const ceo = await agent('ceo')
    const { executionId, request } = await ask()
    await deliver()
    const [message] = await streamOf('ceo')
    expect(message).toEqual({
      ...{ v: 1, type: 'request', id: request, role: 'ceo', subject: 'Approve the high-cost feature moon base' },
      body: { feature: 'moon base', analysis: { feature: 'moon base', complexity: 5 } },
      bodyBytes: expect.any(Number),
      redacted: [],
      execution: encodeId('execution', executionId),
      flow: { id: encodeId('flow', flowId), name: 'feature_approval' },
      ...{ step: 'ask_ceo', attempt: 1, createdAt: expect.any(String), deadlineAt: expect.any(String) },
    })
    await deliver()
    expect(await streamOf('ceo')).toHaveLength(1)

    await sendSigned(ceo, answerTo(request))
    await take()
    expect(await rowOf(request)).toMatchObject({ status: 'ANSWERED', decision: 'APPROVE', answered_by: ceo.id })
    expect(await repliesTo(ceo)).toMatchObject([{ v: 1, type: 'reply', request, ok: true, replayed: false }])
    expect(await redis.xlen(RESPONSES)).toBe(0)
    await engine.ended(executionId, 5_000)
    await deliver()
    expect(await streamOf('ceo')).toEqual([])
    expect(await streamOf('product_manager')).toMatchObject([
      { type: 'notice', subject: 'Decided: moon base', body: { approved: true, decided_by: 'ceo' }, deadlineAt: null },
    ])
    // the senior architect was told too, but may not see the flow
    expect(await streamOf('senior_architect')).toEqual([])
  })

  test('what is marked as sensitive leaves masked (D2)', async () => {
    const definition = {
      ...{ version: 1, name: 'refund', input: { type: 'object', properties: { card: { type: 'string', sensitive: true } } } },
      steps: {
        ask: {
          type: 'agent',
          role: 'ceo',
          subject: 'Refund ${{ input.card }}',
          request: { card: '${{ input.card }}', why: 'late' },
        },
      },
    }
    const flow = unwrap(await createFlow(call(owner), { definition, visibility: 'PRIVATE' }))
    const grants = [{ to: { agentRole: 'ceo' }, action: 'EXECUTE' as const }]
    unwrap(await grantFlowAccess(call(owner), { flowId: flow.id, grants }))
    const input = { card: '4111 1111 1111 1111' }
    unwrap(await startExecution(call(owner), { flow: encodeId('flow', flow.id), input, waitMs: 0 }))
    await deliver()
    const message = (await streamOf('ceo')).find(({ flow: { name } }) => name === 'refund')!
    expect(JSON.stringify(message)).not.toContain('4111')
    expect(message).toMatchObject({ body: { why: 'late' }, redacted: ['/body/card'] })
  })

  /** Each is refused, changes nothing, and is told to whoever signed it. */
  const HOSTILE: Record<
    string,
    { refused: AnswerRefusal | 'NOT_FOUND' | 'VALIDATION'; told: boolean; send: (by: Agent, request: string) => Promise<unknown> }
  > = {
    'that is too large': {
      refused: 'TOO_LARGE',
      told: false,
      send: (by, request) => sendSigned(by, answerTo(request, { data: 'x'.repeat(MAX_ANSWER_BYTES) })),
    },
    'that is no JSON': { refused: 'MALFORMED', told: false, send: (by) => sendSigned(by, '{"v":1,') },
    'with an unknown field': {
      refused: 'MALFORMED',
      told: false,
      send: (by, request) => sendSigned(by, answerTo(request, { admin: true })),
    },
    'of another version': {
      refused: 'MALFORMED',
      told: false,
      send: (by, request) => sendSigned(by, answerTo(request, { v: 2 })),
    },
    'with another decision': {
      refused: 'MALFORMED',
      told: false,
      send: (by, request) => sendSigned(by, answerTo(request, { decision: 'MAYBE' })),
    },
    'with a short nonce': {
      refused: 'MALFORMED',
      told: false,
      send: (by, request) => sendSigned(by, answerTo(request, { nonce: 'a' })),
    },
    'without a signature': {
      refused: 'MALFORMED',
      told: false,
      send: (by, request) => send({ key: by.key, message: answerTo(request) }),
    },
    'with more fields around it': {
      refused: 'MALFORMED',
      told: false,
      send: (by, request) => {
        const message = answerTo(request)
        return send({ key: by.key, message, signature: sign(by, message), more: 'x' })
      },
    },
    'by nobody': {
      refused: 'UNKNOWN_KEY',
      told: false,
      send: (by, request) => sendSigned({ ...by, key: 'ab'.repeat(32) }, answerTo(request)),
    },
    'forged by another agent': {
      refused: 'BAD_SIGNATURE',
      told: false,
      send: async (by, request) => {
        const message = answerTo(request)
        return send({ key: by.key, message, signature: sign(await agent('ceo'), message) })
      },
    },
    'that was changed on its way': {
      refused: 'BAD_SIGNATURE',
      told: false,
      send: (by, request) => {
        const message = answerTo(request)
        return send({ key: by.key, message: message.replace('APPROVE', 'REJECT'), signature: sign(by, message) })
      },
    },
    'that is stale': {
      refused: 'EXPIRED',
      told: true,
      send: (by, request) =>
        sendSigned(by, answerTo(request, { issuedAt: Date.now() - 120_000, expiresAt: Date.now() - 60_000 })),
    },
    'that is good for too long': {
      refused: 'EXPIRED',
      told: true,
      send: (by, request) => sendSigned(by, answerTo(request, { expiresAt: Date.now() + 3_600_000 })),
    },
    'of tomorrow': {
      refused: 'EXPIRED',
      told: true,
      send: (by, request) =>
        sendSigned(by, answerTo(request, { issuedAt: Date.now() + 86_400_000, expiresAt: Date.now() + 86_460_000 })),
    },
    'in a role that there is not': {
      refused: 'UNKNOWN_ROLE',
      told: true,
      send: (by, request) => sendSigned(by, answerTo(request, { role: 'emperor' })),
    },
    'in a role of another agent': {
      refused: 'WRONG_ROLE',
      told: true,
      send: (by, request) => sendSigned(by, answerTo(request, { role: 'chro' })),
    },
    'in another role of its own': {
      refused: 'NOT_FOUND',
      told: true,
      send: (by, request) => sendSigned(by, answerTo(request, { role: 'cto' })),
    },
    'about nothing that there is': {
      refused: 'NOT_FOUND',
      told: true,
      send: (by) => sendSigned(by, answerTo('ask_00000000000000000000000000')),
    },
    'about what is no request': {
      refused: 'NOT_FOUND',
      told: true,
      send: (by, request) => sendSigned(by, answerTo(request.replace('ask', 'exec'))),
    },
    'with data too deep to store': {
      refused: 'VALIDATION',
      told: true,
      send: (by, request) => sendSigned(by, answerTo(request, { data: JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`) })),
    },
  }

  test.each(Object.entries(HOSTILE))(
    'an answer %s is refused, changes nothing, and stops no other (A2, A7, D5)',
    async (_what, hostile) => {
      const by = await agent('ceo', 'cto')
      const { request } = await ask()
      await hostile.send(by, request)
      await take()
      expect(await rowOf(request)).toMatchObject({ status: 'OPEN' })
      expect(await redis.xlen(RESPONSES)).toBe(0)
      expect(await repliesTo(by)).toMatchObject(hostile.told ? [{ ok: false, code: hostile.refused }] : [])
      if (hostile.refused in ANSWER_REFUSALS) {
        const [row] = await ownerQuery<{ n: number }>(
          `select count(*)::integer as n from sluice.audit_events where error_code = $1 and type in ('agentMessage.refused', 'agentRole.refused')`,
          [hostile.refused],
        )
        expect(row!.n).toBeGreaterThan(0)
      }
      // a good one is taken after it
      await sendSigned(by, answerTo(request))
      await take()
      expect(await rowOf(request)).toMatchObject({ status: 'ANSWERED', answered_by: by.id })
    },
  )

  test('a copy is refused while its nonce is known, and changes nothing when Redis has forgotten it', async () => {
    const by = await agent('ceo')
    const { request } = await ask()
    const message = answerTo(request)
    for (let times = 0; times < 3; times += 1) await sendSigned(by, message)
    await take()
    const replies = await repliesTo(by)
    expect(replies.filter(({ ok }) => ok)).toHaveLength(1)
    expect(replies.filter(({ code }) => code === 'REPLAYED')).toHaveLength(2)
    const answered = await rowOf(request)
    await redis.flushall()
    await sendSigned(by, message)
    await take()
    expect(await repliesTo(by)).toMatchObject([{ ok: true, replayed: true }])
    expect(await rowOf(request)).toEqual(answered)
    // sent again under the same idempotency key, as who got no reply does
    const key = { idempotencyKey: 'mine', nonce: 'n'.repeat(20) }
    await sendSigned(by, answerTo(request, key))
    await take()
    expect((await repliesTo(by)).at(-1)).toMatchObject({ ok: false, code: 'ILLEGAL_STATE' })
  })

  test('of a key that was revoked nothing is taken, and it is told so; too many answers are told when to come back', async () => {
    const by = await agent('ceo')
    const { request } = await ask()
    limits.next = { ...allowed, allowed: false, resetMs: 1_234 }
    await sendSigned(by, answerTo(request))
    await take()
    limits.next = allowed
    unwrap(await revokeApiKey(call(admin), { id: by.id }))
    await sendSigned(by, answerTo(request))
    await take()
    expect(await repliesTo(by)).toMatchObject([{ code: 'RATE_LIMITED', retryAfterMs: 1_234 }, { code: 'KEY_ENDED' }])
    expect(await rowOf(request)).toMatchObject({ status: 'OPEN' })
  })

  test('a key that was made before agents signed is told that it cannot, whatever stands under its message', async () => {
    const by = await agent('ceo')
    const { request } = await ask()
    await ownerQuery(
      'update sluice.api_keys set signature_key_id = null, signature_nonce = null, signature_sealed = null where id = $1',
      [by.id],
    )
    await sendSigned(by, answerTo(request))
    await send({ key: by.key, message: answerTo(request), signature: '0'.repeat(64) })
    await take()
    expect(await repliesTo(by)).toMatchObject([{ code: 'KEY_CANNOT_SIGN', request }, { code: 'KEY_CANNOT_SIGN' }])
    expect(await rowOf(request)).toMatchObject({ status: 'OPEN' })
  })

  test('a million wrong names leave one row in the audit log (A2)', async () => {
    const count = async () =>
      (
        await ownerQuery<{ n: number }>(
          `select count(*)::integer as n from sluice.audit_events where error_code = 'UNKNOWN_ROLE'`,
        )
      )[0]!.n
    const by = await agent('ceo')
    const before = await count()
    for (let at = 0; at < 40; at += 1) await sendSigned(by, answerTo('ask_00000000000000000000000000', { role: `emperor_${at}` }))
    await take()
    expect((await count()) - before).toBe(1)
  })

  test('what Redis loses is in the streams again; notices that agents took are not', async () => {
    const { request } = await ask()
    const approved = await ask()
    await sendSigned(await agent('ceo'), answerTo(approved.request))
    await take()
    await engine.ended(approved.executionId, 5_000)
    await deliver()
    const idsOf = async (role: string) => (await streamOf(role)).map(({ id }) => id)
    const notices = await idsOf('product_manager')
    expect(notices.length).toBeGreaterThan(0)
    // an agent reads all and acknowledges but the last
    const read = (await redis.xreadgroup('GROUP', 'agents', 'me', 'STREAMS', 'messages:product_manager', '>')) as [
      string,
      [string, string[]][],
    ][]
    const entries = read[0]![1].map(([entry]) => entry)
    await redis.xack('messages:product_manager', 'agents', ...entries.slice(0, -1))
    const fresh = () => deliver(newOutbox())
    await fresh()
    expect(await idsOf('product_manager')).toEqual(notices.slice(-1))

    await redis.flushall()
    await deliver()
    expect(await idsOf('ceo')).toContain(request)
    expect(await idsOf('product_manager')).toEqual(notices.slice(-1))
    // somebody took an entry out of a stream
    await redis.del('messages:ceo')
    await fresh()
    expect(await idsOf('ceo')).toContain(request)
    // servers sign with another key since: agents do not believe what lies there
    const entriesOf = async (role: string) => (await redis.xrange(`messages:${role}`, '-', '+')).map(([entry]) => entry)
    const older = await entriesOf('ceo')
    await redis.set('sluice:agents:kept', 'another key')
    await deliver()
    expect(await idsOf('ceo')).toContain(request)
    expect((await entriesOf('ceo')).filter((entry) => older.includes(entry))).toEqual([])
    await deliver()
  })

  test('workers, which know no secret that signs tokens, sign with the key that the API names', () => {
    const { messageKeys, secretKeys } = services.identity
    expect(createMessageKeys(secretKeys).publicKey).toBe(messageKeys.publicKey)
    expect(createMessageKeys(createSecretKeys('')).publicKey).not.toBe(messageKeys.publicKey)
  })

  test('what a process took and did not settle another takes; what nobody can judge is dropped in the end', async () => {
    const by = await agent('ceo')
    const { request } = await ask()
    const takeAndDie = async (entry: string | null, times: number) => {
      await redis.xreadgroup('GROUP', 'sluice', 'dead', 'STREAMS', RESPONSES, '>')
      await redis.xclaim(RESPONSES, 'sluice', 'dead', 0, entry!, 'IDLE', 40_000, 'RETRYCOUNT', times, 'JUSTID')
    }
    const outcomes: string[] = []
    const takeOver = async () => {
      const other = createAgentInbox({ messages, door: { services, messages, limiter, log }, log })
      other.onAnswer = (outcome) => outcomes.push(outcome)
      await other.runOnce()
    }
    await take()
    await takeAndDie(await sendSigned(by, answerTo(request)), 1)
    await takeOver()
    expect(await rowOf(request)).toMatchObject({ status: 'ANSWERED' })
    await takeAndDie(await sendSigned(by, answerTo(request)), 5)
    await takeOver()
    expect(outcomes).toEqual(['ACCEPTED', 'DROPPED'])
    expect(await redis.xlen(RESPONSES)).toBe(0)
  })

  test('an answer that cannot be stored for now waits, however often that is tried', async () => {
    const by = await agent('ceo')
    const { request } = await ask()
    const outcomes: string[] = []
    const takeWith = async (at: typeof services) => {
      const other = createAgentInbox({ messages, door: { services: at, messages, limiter, log }, log })
      other.onAnswer = (outcome) => outcomes.push(outcome)
      await other.runOnce()
    }
    const unavailable = Object.assign(Object.create(engine), { answer: () => Promise.reject(new Fault('UNAVAILABLE')) })
    const entry = await sendSigned(by, answerTo(request))
    for (let times = 0; times < 7; times += 1) {
      await takeWith({ ...services, engine: unavailable })
      await redis.xclaim(RESPONSES, 'sluice', 'dead', 0, entry!, 'IDLE', 40_000, 'JUSTID')
    }
    expect(await rowOf(request)).toMatchObject({ status: 'OPEN' })
    await takeWith(services)
    expect(await rowOf(request)).toMatchObject({ status: 'ANSWERED' })
    expect(outcomes).toEqual(['ACCEPTED'])
  })

  test('a process that is asked to stop does not first take all that others have sent', async () => {
    const pipeline = redis.pipeline()
    for (let at = 0; at < 500; at += 1) pipeline.xadd(RESPONSES, '*', 'nonsense', `${at}`)
    await pipeline.exec()
    const other = createAgentInbox({ messages, door: { services, messages, limiter, log }, log })
    const begun = new Promise<void>((resolve) => (other.onAnswer = () => resolve()))
    other.start()
    await begun
    await other.stop()
    expect(await redis.xlen(RESPONSES)).toBeGreaterThan(0)
    await take()
    expect(await redis.xlen(RESPONSES)).toBe(0)
  })

  test('a stream that somebody fills with what no server signed is made anew, and so is a group with more agents than there are', async () => {
    const { request } = await ask()
    const pipeline = redis.pipeline()
    for (let at = 0; at < 11_000; at += 1) pipeline.xadd('messages:ceo', '*', 'message', '{}', 'signature', '')
    for (let at = 0; at < 10_001; at += 1) pipeline.xgroup('CREATECONSUMER', 'messages:cto', 'agents', `agent ${at}`)
    await pipeline.exec()
    await deliver(newOutbox())
    expect(await redis.xinfo('CONSUMERS', 'messages:cto', 'agents')).toEqual([])
    expect(await redis.xlen('messages:ceo')).toBeLessThan(1_000)
    expect((await streamOf('ceo')).map(({ id }) => id)).toContain(request)
  })

  const LAST_ID = '18446744073709551615-18446744073709551615'
  const HELD = '{messages:ceo}:held'
  /** What somebody with a password of Redis may do, before a request is delivered and answered, or when its answer lies there. */
  const SABOTAGE: Readonly<Record<string, { before?: () => Promise<unknown>; sent?: (by: Agent) => Promise<unknown> }>> = {
    'make the stream of a role a text': {
      before: async () => [await redis.del('messages:ceo'), await redis.set('messages:ceo', 'x')],
    },
    'end the ids of the stream of a role': { before: () => redis.xadd('messages:ceo', LAST_ID, 'message', '{}') },
    'make what is known of the stream of a role a list': {
      before: async () => [await redis.del(HELD), await redis.rpush(HELD, 'x')],
    },
    'say that the stream of a role holds what it does not': {
      before: () => redis.hset(HELD, { nonsense: 'x', ['y'.repeat(1_000_000)]: '1-1', another: '1-1' }),
    },
    'say that the stream of a role holds more than there is': {
      before: () => redis.hset(HELD, Object.fromEntries(Array.from({ length: 11_000 }, (_, at) => [`${at}`, '1-1']))),
    },
    'make a list of what says that nothing was lost': {
      before: async () => [await redis.del('sluice:agents:kept'), await redis.rpush('sluice:agents:kept', 'x')],
    },
    'make the stream of answers a text': {
      before: async () => [await redis.del(RESPONSES), await redis.set(RESPONSES, 'x')],
    },
    'end the ids of the stream of answers': { before: () => redis.xadd(RESPONSES, LAST_ID, 'message', '{}') },
    'move the group of the servers to the end of time': {
      before: () => redis.call('XGROUP', 'SETID', RESPONSES, 'sluice', '99999999999999-0'),
    },
    'destroy the group of the servers': { sent: () => redis.call('XGROUP', 'DESTROY', RESPONSES, 'sluice') },
    'acknowledge what the servers have not judged': {
      async sent() {
        const read = (await redis.xreadgroup('GROUP', 'sluice', 'thief', 'STREAMS', RESPONSES, '>')) as unknown as [
          string,
          [string][],
        ][]
        return redis.xack(RESPONSES, 'sluice', ...read[0]![1].map(([entry]) => entry))
      },
    },
    'put what is far too large before it': {
      before: () => redis.xadd(RESPONSES, '*', 'message', 'x'.repeat(2 * MAX_ANSWER_BYTES)),
    },
    'make the replies a text': { sent: ({ key }) => redis.set(`workflow:agent_replies:${key}`, 'x') },
    'end the ids of the replies': { sent: ({ key }) => redis.xadd(`workflow:agent_replies:${key}`, LAST_ID, 'message', '{}') },
    'use its nonce for something else': {
      async sent({ id }) {
        const entries = await redis.xrange(RESPONSES, '-', '+')
        for (const [, [, , , message]] of entries) {
          const { nonce } = JSON.parse(message!)
          await redis.rpush(`{${RESPONSES}}:nonce:${id}:${nonce}`, 'x')
        }
      },
    },
  }

  test.each(Object.entries(SABOTAGE))(
    'whoever can write to Redis may %s: a request is delivered, and its answer taken, when it is sent again (A14)',
    async (_what, { before, sent }) => {
      const by = await agent('ceo')
      const { request } = await ask()
      await take()
      await before?.()
      await deliver()
      await deliver(newOutbox())
      const said = (await redis.xrange('messages:ceo', '-', '+')).map(([, [, text]]) => text)
      expect(said.filter((text) => text?.includes(request))).toHaveLength(1)
      for (let times = 0; (await rowOf(request)).status === 'OPEN'; times += 1) {
        expect(times).toBeLessThan(3)
        await sendSigned(by, answerTo(request)).catch(() => undefined)
        if (times === 0) await sent?.(by)
        await take()
      }
      expect(await repliesTo(by)).toContainEqual(expect.objectContaining({ request, ok: true }))
      expect(await redis.xlen(RESPONSES)).toBe(0)
    },
  )

  test('plain pub/sub does as well: requests are published, an answer that is published counts once, whoever hears it', async () => {
    const subscriber = new Redis(server.url)
    const other = createAgentMessages({ redis: connection, log })
    onTestFinished(() => subscriber.disconnect())
    await subscriber.subscribe('messages:ceo')
    const published = new Promise<string>((resolve) => subscriber.on('message', (_channel, text: string) => resolve(text)))
    const by = await agent('ceo')
    const { request } = await ask()
    await deliver()
    const { message, signature } = JSON.parse(await published)
    expect(verified(['message', message, 'signature', signature])).toMatchObject({ type: 'request', role: 'ceo' })
    const heard = Promise.all([messages, other].map((one) => new Promise<void>((resolve) => one.onAnswer(resolve))))
    await expect.poll(() => redis.pubsub('NUMSUB', RESPONSES)).toEqual([RESPONSES, 2])
    const text = answerTo(request)
    await redis.publish(RESPONSES, JSON.stringify({ key: by.key, message: text, signature: sign(by, text) }))
    await heard
    expect(await redis.xlen(RESPONSES)).toBe(1)
    await take()
    expect(await rowOf(request)).toMatchObject({ status: 'ANSWERED', answered_by: by.id })
    await other.close()
  })
})
