/** `@sluice/agent`: what it is asked it answers, over GraphQL alone and over Redis; what it cannot is tried again, or left; killed it goes on. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { Redis } from 'ioredis'
import { createAgent } from '../../clients/agent/agent.ts'
import type { AgentNotice, AgentOptions, AgentRequest } from '../../clients/agent/agent.ts'
import type { Message } from '../../clients/agent/channel.ts'
import { openRedisChannel } from '../../clients/agent/redis-channel.ts'
import { createMessageKeys } from '../../src/identity/message-keys.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { decodeId } from '../../src/ids.ts'
import { documentedUser } from '../harness/documented-acl.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { startStubService } from '../harness/stub-service.ts'
import { runningServer } from './running-server.ts'

const redis = hasRedis ? await testRedis() : undefined
const { url, session, start, ownerQuery, password } = await runningServer({
  // a Redis for agents alone: whatever else the server does, it does without
  ...{ SLUICE_LIMIT_RUNNING_PER_INITIATOR: '1000', ...(redis && { SLUICE_AGENTS_REDIS_URL: redis.url }) },
})
const WAYS: readonly [way: string, options: { redis?: string }][] = [
  ['GraphQL alone', {}],
  ...(redis ? [['Redis', { redis: redis.url }] as [string, { redis?: string }]] : []),
]

/** A key for an agent of these roles; on the example they may answer. */
async function keyFor(...agentRoles: string[]): Promise<{ id: string; secret: string }> {
  const { createApiKey } = await session.run<{ createApiKey: { secret: string; apiKey: { id: string } } }>(
    `mutation ($roles: [String!]!) { createApiKey(input: { name: "agent", scopes: [REQUESTS_ANSWER], agentRoles: $roles }) {
      ... on CreateApiKeySuccess { secret apiKey { id } } } }`,
    { roles: agentRoles },
  )
  return { id: createApiKey.apiKey.id, secret: createApiKey.secret }
}

beforeAll(async () => {
  await session.run(
    `mutation ($definition: JSON!) { createFlow(input: { definition: $definition, visibility: PRIVATE }) { __typename } }`,
    {
      definition: PATIENT,
    },
  )
  const { one, two } = await session.run<Record<'one' | 'two', { id: string }>>(
    `{ one: flow(name: "feature_approval") { id } two: flow(name: "patient_approval") { id } }`,
  )
  for (const { id: flowId } of [one, two])
    await session.run(
      `mutation ($flowId: ID!) { grantFlowAccess(input: { flowId: $flowId, grants: [
        { to: { agentRole: "ceo" }, action: EXECUTE }, { to: { agentRole: "product_manager" }, action: EXECUTE }] }) { __typename } }`,
      { flowId },
    )
})

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  await Promise.all(stops.splice(0).map((stop) => stop()))
})
async function run(options: Partial<AgentOptions> & Pick<AgentOptions, 'onRequest'>, roles = ['ceo']) {
  const key = await keyFor(...roles)
  const agent = createAgent({ url, apiKey: key.secret, roles, ...options })
  await agent.start()
  stops.push(() => agent.stop(0))
  return { agent, key }
}

const ask = (name = 'moon base') => start('feature_approval', { feature_name: name, estimated_cost: 2_000_000 })
async function ended(id: string): Promise<{ status: string; output: Record<string, unknown> }> {
  for (;;) {
    const { execution } = await session.run<{ execution: { status: string; output: Record<string, unknown> } }>(
      `query ($id: ID!) { execution(id: $id) { status output } }`,
      { id },
    )
    if (execution.status !== 'WAITING' && execution.status !== 'RUNNING' && execution.status !== 'PENDING') return execution
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

describe.each(WAYS)('an agent over %s', (overWhat, way) => {
  test('answers what it is asked, with what it was asked in hand, and is told what came of it (A14)', async () => {
    // what was answered before may still lie in the stream
    const name = `moon base over ${overWhat}`
    const subject = `Approve the high-cost feature ${name}`
    const execution = await ask(name)
    const seen: AgentRequest[] = []
    const notices: AgentNotice[] = []
    await run({ ...way, onRequest: () => undefined, onNotice: (notice) => void notices.push(notice) }, ['product_manager'])
    const answered = Promise.withResolvers<string>()
    await run({
      ...way,
      onRequest(request) {
        if (request.subject !== subject) return undefined
        seen.push(request)
        return { decision: 'REJECT', data: { why: 'too early' } }
      },
      onAnswered: (_request, _answer, became) => answered.resolve(became),
    })
    expect(await answered.promise).toBe('ACCEPTED')
    expect(await ended(execution)).toMatchObject({ status: 'SUCCEEDED', output: { approved: false, decided_by: 'ceo' } })
    expect(seen).toMatchObject([{ role: 'ceo', step: 'ask_ceo', subject, body: { feature: name } }])
    expect(seen[0]!.deadlineAt.getTime()).toBeGreaterThan(Date.now())
    await expect
      .poll(() => notices.at(-1), { timeout: 10_000 })
      .toMatchObject({ role: 'product_manager', body: { approved: false } })
    // who may not see the execution is not told which it is, but in a message
    for (const { execution: shown } of seen) expect(shown).toBe('redis' in way ? execution : undefined)
  })

  test('tries again what it failed at, a few at a time; what it does not want, or fails at each time, another has', async () => {
    const errors: unknown[] = []
    let tries = 0
    let atOnce = 0
    let most = 0
    await run({
      ...{ ...way, name: 'one' },
      concurrency: 2,
      async onRequest({ subject }) {
        most = Math.max(most, (atOnce += 1))
        await new Promise((resolve) => setTimeout(resolve, 5))
        atOnce -= 1
        if (subject.endsWith('flaky') && (tries += 1) < 3) throw new Error('not now')
        if (subject.endsWith('too much')) throw new Error('never')
        return subject.endsWith('not mine') ? undefined : { decision: 'APPROVE' }
      },
      onError: (error) => errors.push(error),
    })
    const executions = await Promise.all(['flaky', 'one', 'two', 'three', 'four'].map(ask))
    for (const id of executions) expect(await ended(id)).toMatchObject({ status: 'SUCCEEDED' })
    expect(errors.map(String)).toEqual(['Error: not now', 'Error: not now'])
    expect(most).toBe(2)
    const left = await Promise.all(['not mine', 'too much'].map(ask))
    await expect.poll(() => errors.map(String)).toContain('Error: never')
    await run({ ...way, name: 'two', onRequest: () => ({ decision: 'APPROVE' }) })
    for (const id of left) expect(await ended(id)).toMatchObject({ status: 'SUCCEEDED' })
  })

  test('tells again what it failed to tell', async () => {
    const tries: string[] = []
    const told = Promise.withResolvers<void>()
    const onNotice = ({ id }: AgentNotice): void => {
      if (!tries.includes(id)) {
        tries.push(id)
        throw new Error('not now')
      }
      told.resolve()
    }
    await run({ ...way, onRequest: () => undefined, onNotice }, ['product_manager'])
    await start('feature_approval', { feature_name: 'shed', estimated_cost: 1 })
    await told.promise
  })

  test('stops what nobody waits for any more; ended gracefully it answers what it was about', async () => {
    const begun = Promise.withResolvers<AbortSignal>()
    const goOn = Promise.withResolvers<void>()
    const { agent } = await run({
      ...way,
      async onRequest(_request, { signal }) {
        begun.resolve(signal)
        await goOn.promise
        return { decision: 'APPROVE' }
      },
    })
    const execution = await ask()
    expect((await begun.promise).aborted).toBe(false)
    const stopped = agent.stop()
    goOn.resolve()
    await stopped
    expect(await agent.ended).toBeUndefined()
    expect(await ended(execution)).toMatchObject({ status: 'SUCCEEDED' })
  })
})

const AGENT = fileURLToPath(new URL('../../examples/agents/agent.ts', import.meta.url))
const PYTHON_AGENT = fileURLToPath(new URL('../../examples/agents/agent.py', import.meta.url))
const TEAM = fileURLToPath(new URL('../../examples/agents/team.ts', import.meta.url))
const children: ChildProcess[] = []
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
})

/** The agent of the example, as a process; `said` resolves when it has printed so many lines like this. */
const agentProcess = (key: string, way: { redis?: string }) => runProgram(AGENT, way, { AGENT_KEY: key, AGENT_ROLES: 'ceo' })

function runProgram(program: string, way: { redis?: string }, more: Record<string, string>) {
  const env = { ...process.env, ...more, SLUICE_URL: url, REDIS_URL: way.redis ?? '' }
  const child = spawn(process.execPath, [program], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += String(text)))
  return {
    async said(pattern: RegExp, times: number): Promise<void> {
      while ((output.match(pattern) ?? []).length < times) await once(child.stdout, 'data')
    },
    output: () => output,
    async end(signal: NodeJS.Signals): Promise<number | null> {
      child.kill(signal)
      await once(child, 'exit')
      return child.exitCode
    },
  }
}

const OPEN = 200
/** Asks the ceo as the example does, and waits for as long as a slow machine needs. */
const PATIENT = {
  ...{ version: 1, name: 'patient_approval' },
  steps: {
    ask_ceo: {
      ...{ type: 'agent', role: 'ceo', subject: 'Approve ${{ input.feature }}', timeout: 'PT10M' },
      request: { feature: '${{ input.feature }}', analysis: { complexity: 1 } },
    },
  },
}
const KILLED: readonly [what: string, way: { redis?: string }, redisToo: boolean][] = [
  ['over GraphQL alone', {}, false],
  ...(redis
    ? ([
        ['over Redis', { redis: redis.url }, false],
        ['over a Redis that is killed too, and comes back empty', { redis: redis.url }, true],
      ] as [string, { redis?: string }, boolean][])
    : []),
]

test.each(KILLED)(
  'an agent that is killed while 200 requests are open, %s: each is answered once (A14)',
  async (_what, way, redisToo) => {
    const { secret } = await keyFor('ceo')
    const executions = await Promise.all(Array.from({ length: OPEN }, (_, at) => start('patient_approval', { feature: `${at}` })))
    const first = agentProcess(secret, way)
    await first.said(/APPROVE/g, 20)
    await first.end('SIGKILL')
    const open = await ownerQuery<{ n: number }>(`select count(*)::integer as n from sluice.agent_requests where status = 'OPEN'`)
    expect(open[0]!.n).toBeGreaterThan(0)
    const second = agentProcess(secret, way)
    if (redisToo) {
      await second.said(/APPROVE/g, 20)
      await redis!.stop()
      await redis!.start()
    }
    for (const id of executions) expect(await ended(id)).toMatchObject({ status: 'SUCCEEDED' })
    const [answers] = await ownerQuery<{ events: number; executions: number; audited: number }>(
      `select count(*)::integer as events, count(distinct v.execution_id)::integer as executions,
      (select count(*) from sluice.audit_events a where a.type = 'agentRequest.answered' and a.execution_id = any($1))::integer as audited
     from sluice.events v where v.type = 'agent.answered' and v.execution_id = any($1)`,
      [executions.map((id) => decodeId('execution', id))],
    )
    expect(answers).toEqual({ events: OPEN, executions: OPEN, audited: OPEN })
  },
  90_000,
)

test.skipIf(!redis)(
  'an agent with the user of Redis that the page makes does all of its work, and may do nothing else (D1)',
  async () => {
    const { secret } = await keyFor('ceo')
    const operator = new Redis(redis!.url)
    stops.push(async () => operator.disconnect())
    const fingerprint = createHash('sha256').update(secret).digest('hex')
    const own = await documentedUser(operator, 'ceo', fingerprint)
    await operator.call('ACL', 'LOG', 'RESET')
    const execution = await ask()
    const options = { url, apiKey: secret, roles: ['ceo'], redis: own }
    const agent = createAgent({ ...options, onRequest: () => ({ decision: 'APPROVE' }) })
    await agent.start()
    stops.push(() => agent.stop(0))
    expect(await ended(execution)).toMatchObject({ status: 'SUCCEEDED' })
    await agent.stop()
    expect(await operator.call('ACL', 'LOG')).toEqual([])

    const intruder = new Redis(own)
    stops.push(async () => intruder.disconnect())
    const answers = 'workflow:agent_responses'
    const forbidden = [
      ...['XREADGROUP GROUP agents me STREAMS messages:cto >', 'XRANGE messages:ceo - +', 'XADD messages:ceo * message {}'],
      ...['DEL messages:ceo', 'XGROUP CREATE messages:ceo more 0', 'SET {messages:ceo}:held x', 'PUBLISH messages:ceo x'],
      ...[
        `XTRIM ${answers} MAXLEN 0`,
        `XGROUP DESTROY ${answers} sluice`,
        `XREAD STREAMS ${answers} 0`,
        `XACK ${answers} sluice 1-1`,
      ],
      ...[`DEL ${answers}`, `SUBSCRIBE ${answers}`, `XREAD STREAMS workflow:agent_replies:${'0'.repeat(64)} 0`],
      ...['PUBLISH sluice:bus {}', 'SUBSCRIBE sluice:bus', 'SET sluice:lock:upkeep x', 'KEYS *', 'EVAL return 0', 'FLUSHALL'],
      ...['CONFIG GET *', 'ACL LIST', 'CLIENT LIST', 'CLIENT KILL TYPE normal', 'MONITOR', 'SHUTDOWN'],
    ]
    for (const line of forbidden) {
      const [command, ...args] = line.split(' ')
      await expect(intruder.call(command!, ...args), line).rejects.toThrow(/^NOPERM/)
    }
  },
)

const PYTHON = spawnSync('python3', ['--version']).status === 0
test.skipIf(!PYTHON)('the example in Python answers what it is asked, over GraphQL alone (A14)', async () => {
  const { secret } = await keyFor('ceo')
  const executions = await Promise.all(Array.from({ length: 60 }, () => ask()))
  const child = spawn('python3', [PYTHON_AGENT], { env: { ...process.env, SLUICE_URL: url, AGENT_KEY: secret }, stdio: 'ignore' })
  children.push(child)
  for (const id of executions) expect(await ended(id)).toMatchObject({ output: { approved: true, decided_by: 'ceo' } })
})

test.each(WAYS)(
  'over %s the agents of the example decide by their rules, are told, and end when they are asked to (A15)',
  async (_way, way) => {
    const team = runProgram(TEAM, way, { SLUICE_ADMIN_PASSWORD: password })
    await team.said(/there, over/g, 3)
    const simple = await ask('moon base')
    const complex = await start('feature_approval', { feature_name: 'warp drive', estimated_cost: 2_000_000, complexity: 9 })
    const kernel = await start('feature_approval', { feature_name: 'new kernel', estimated_cost: 1, complexity: 9 })
    expect(await ended(simple)).toMatchObject({ output: { approved: true, decided_by: 'ceo' } })
    expect(await ended(complex)).toMatchObject({ output: { approved: false, decided_by: 'ceo' } })
    expect(await ended(kernel)).toMatchObject({ output: { approved: true, decided_by: 'cto' } })
    await team.said(/product_manager: told: Decided/g, 3)
    expect(team.output()).toContain('ceo: REJECT Approve the high-cost feature warp drive')
    expect(await team.end('SIGTERM')).toBe(0)
  },
)

test.each(WAYS)('over %s the signal of an agent ends when nobody waits for its answer any more', async (_way, way) => {
  const begun = Promise.withResolvers<void>()
  const aborted = Promise.withResolvers<void>()
  await run({
    ...way,
    onRequest: (_request, { signal }) =>
      new Promise((resolve) => {
        begun.resolve()
        signal.addEventListener('abort', () => {
          aborted.resolve()
          resolve(undefined)
        })
      }),
  })
  const execution = await ask()
  await begun.promise
  await session.run('mutation ($id: ID!) { cancelExecution(input: { id: $id }) { __typename } }', { id: execution })
  await aborted.promise
})

test.each(WAYS)('over %s an agent whose key is wrong, or revoked, ends, and says why', async (_way, way) => {
  await ask()
  const agent = createAgent({ url, apiKey: `slk_${'x'.repeat(43)}`, roles: ['ceo'], onRequest: () => undefined, ...way })
  await agent.start()
  expect(await agent.ended).toMatchObject({ name: 'AgentRefused', code: 'redis' in way ? 'UNAUTHENTICATED' : 'REFUSED' })
  const { agent: other, key } = await run({ ...way, onRequest: () => ({ decision: 'APPROVE' }) })
  await session.run('mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { __typename } }', { id: key.id })
  await ask()
  // whatever it was about when it heard of it
  const code = expect.stringMatching(/^(KEY_ENDED|UNAUTHENTICATED|ACCESS_REVOKED|REFUSED)$/)
  expect(await other.ended).toMatchObject({ name: 'AgentRefused', code })
})

test('of what is newer than the hundred that a snapshot shows, an agent stops nothing', async () => {
  const goOn = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<AbortSignal>()
  const later = Promise.withResolvers<void>()
  const left = new Set<string>()
  await run({
    async onRequest({ id, subject }, { signal }) {
      if (subject === 'Approve the later one') later.resolve()
      if (subject !== 'Approve the one') return void left.add(id)
      begun.resolve(signal)
      await goOn.promise
      return { decision: 'APPROVE' }
    },
  })
  await Promise.all(Array.from({ length: 101 }, (_, at) => start('patient_approval', { feature: `${at}` })))
  await expect.poll(() => left.size, { timeout: 20_000 }).toBeGreaterThan(100)
  const execution = await start('patient_approval', { feature: 'the one' })
  const signal = await begun.promise
  // rights that change bring a snapshot
  await session.run(
    `mutation ($flowId: ID!) { grantFlowAccess(input: { flowId: $flowId, grants: [{ to: { agentRole: "ceo" }, action: EXECUTE }] }) { __typename } }`,
    { flowId: (await session.run<{ flow: { id: string } }>('{ flow(name: "feature_approval") { id } }')).flow.id },
  )
  await start('patient_approval', { feature: 'the later one' })
  await later.promise
  expect(signal.aborted).toBe(false)
  goOn.resolve()
  expect(await ended(execution)).toMatchObject({ status: 'SUCCEEDED' })
  // one that comes now, and leaves alone the hundred that it is shown, is told of the others too
  const seen = new Set<string>()
  await run({ onRequest: ({ id }) => void seen.add(id) })
  await expect.poll(() => seen.size, { timeout: 20_000 }).toBeGreaterThan(100)
}, 180_000)

/** A channel of an agent that the server knows nothing of, and what writes to it as the server does. */
async function ownChannel(role: string, api = url) {
  const keys = createMessageKeys(createSecretKeys('x'.repeat(32)))
  const stream = `messages:${role}`
  const writer = new Redis(redis!.url)
  const stopping = new AbortController()
  const open = async () => {
    const options = { url: api, apiKey: 'slk_none', roles: [role], name: 'me', redis: redis!.url, serverKey: keys.publicKey }
    const channel = await openRedisChannel({ ...options, onError: () => undefined })
    stops.push(() => channel.close())
    return channel
  }
  stops.push(async () => {
    stopping.abort()
    writer.disconnect()
  })
  const put = (id = 'ask_1', body: object | null = {}): Promise<unknown> => {
    const times = { createdAt: new Date().toISOString(), deadlineAt: new Date(Date.now() + 600_000).toISOString() }
    const about = { role, subject: 'Look', body, bodyBytes: 2, execution: 'exec_1', step: 'ask' }
    const message = JSON.stringify({ v: 1, type: 'request', id, ...about, ...times })
    return writer.xadd(stream, '*', 'message', message, 'signature', keys.sign(message))
  }
  return { stream, writer, open, put, signal: stopping.signal }
}

test.skipIf(!redis)('what Redis lost while an agent was about it is asked again when that one has ended', async () => {
  const { stream, writer, open, put, signal } = await ownChannel('tester')
  const channel = await open()
  await put()
  const [first] = await channel.next(1, signal)
  await writer.del(stream)
  const closed = new Promise<string>((resolve) => channel.onClosed(resolve))
  const again = channel.next(1, signal)
  expect(await closed).toBe('ask_1')
  await put()
  // read, while the first is still being ended
  while (((await writer.xpending(stream, 'agents'))[0] as number) === 0) await pause(20)
  await channel.settle(first!)
  expect(await again).toMatchObject([{ kind: 'request', request: { id: 'ask_1' } }])
})

test.skipIf(!redis)('a request whose body the API does not give at once is given out when it does', async () => {
  let asked = 0
  const api = await startStubService((_asked, response) => {
    asked += 1
    response.writeHead(asked === 1 ? 503 : 200, { 'content-type': 'application/json' })
    response.end(asked === 1 ? '{}' : JSON.stringify({ data: { node: { request: { large: true } } } }))
  })
  stops.push(() => api.close())
  const { open, put, signal } = await ownChannel('reader', api.url)
  await put('ask_1', null)
  expect(await (await open()).next(1, signal)).toMatchObject([{ request: { id: 'ask_1', body: { large: true } } }])
  expect(asked).toBe(2)
})

test.skipIf(!redis)('an agent that comes back goes on with what it had, no more at once than it asks for', async () => {
  const { open, put, signal } = await ownChannel('worker')
  const ids = ['ask_1', 'ask_2', 'ask_3', 'ask_4', 'ask_5']
  for (const id of ids) await put(id)
  const before = await open()
  const taken = new Set<string>()
  while (taken.size < ids.length) for (const one of await before.next(5, signal)) taken.add(idOf(one))
  await before.close()
  const again = await open()
  const first = await again.next(2, signal)
  expect(first).toHaveLength(2)
  expect([...first, ...(await again.next(9, signal))].map(idOf)).toEqual(ids)
})

const idOf = (message: Message): string => (message.kind === 'request' ? message.request.id : message.notice.id)
