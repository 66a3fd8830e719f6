/** What raises security events, through the API, and how administrators learn of them: the query, and the feed. */
import { createSourceEventStream } from 'graphql'
import type { ExecutionResult } from 'graphql'
import { fileURLToPath } from 'node:url'
import { beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { FeedSource } from '../../src/api/feed.ts'
import { schema } from '../../src/api/schema.ts'
import { createSealer } from '../../src/audit/sealer.ts'
import { auditTypeOf } from '../../src/audit/security-kinds.ts'
import type { SecurityKind } from '../../src/audit/security-kinds.ts'
import type { SecurityConfig } from '../../src/config/config-types.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { encodeId } from '../../src/ids.ts'
import { AUDIT_BELL } from '../../src/live/audit-topic.ts'
import { createLog } from '../../src/log.ts'
import { createFlow } from '../../src/operations/flows/create-flow.ts'
import { createFollower } from '../../src/server/follow.ts'
import { createPreparer } from '../../src/server/prepare.ts'
import type { Plan } from '../../src/server/prepare.ts'
import { settled } from '../audit/settled.ts'
import { testApi } from '../harness/api.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { unwrap } from '../harness/engine.ts'
import { Pulled } from '../harness/pulled-feeds.ts'
import { DEFAULTS } from '../harness/security-limits.ts'

const LIMITS: SecurityConfig = {
  ...DEFAULTS,
  ...{
    signInFailures: 8,
    refusals: 6,
    rowsRead: 40,
    unmasked: 3,
    unusualStarts: 5,
    failedSteps: 4,
    failedExecutions: 3,
    handlerCrashes: 2,
  },
}
const handlersDirectory = fileURLToPath(new URL('./handlers', import.meta.url))
const { database, ownerQuery, services, security, bus, calls, call, person, run } = await testApi({
  security: LIMITS,
  handlersDirectory,
})
const [admin, user] = [await person('ADMIN'), await person()]
const sealer = createSealer({
  ...{ database, keys: auditKeys, log: createLog('silent'), head: services.auditHead },
  onSealed: (position) => bus.ring(AUDIT_BELL, String(position)),
})

async function seal(): Promise<void> {
  await settled(database)
  await sealer.runOnce()
}

const EVENTS = `query Events($filter: SecurityEventFilter) {
  securityEvents(filter: $filter, first: 100) {
    edges { node { id kind severity count firstAt lastAt advice alertedAt auditEvent { type severity } subject { kind id address user { id } flow { id } } } }
  }
}`

interface Shown {
  id: string
  kind: SecurityKind
  severity: string
  count: number
  advice: string
  auditEvent: { type: string; severity: string }
  subject: { kind: string; id: string | null; address: string | null; user: { id: string } | null; flow: { id: string } | null }
}

/** As an administrator sees them, after everything that was counted was added up. */
async function events(filter: Record<string, unknown> = {}): Promise<Shown[]> {
  await security.watch.runOnce()
  const { data, errors } = await run(admin, EVENTS, { filter })
  expect(errors).toEqual([])
  return (data.securityEvents.edges as { node: Shown }[]).map(({ node }) => node)
}

beforeEach(async () => {
  await security.watch.runOnce()
  await ownerQuery('delete from sluice.security_events')
  await ownerQuery('delete from sluice.security_counts')
})

const FLOW = (name: string, step: unknown, more: object = {}) => ({ name, ...more, steps: { one: step } })
const flows = new Map<string, string>()

beforeAll(async () => {
  const definitions = [
    FLOW('fails', { type: 'handler', handler: 'fails' }),
    FLOW('crashes', { type: 'handler', handler: 'crashes' }),
    FLOW(
      'sensitive',
      { type: 'transform', set: { done: '${{ true }}' } },
      {
        input: { type: 'object', properties: { code: { type: 'string', sensitive: true } } },
      },
    ),
  ]
  for (const definition of definitions) {
    const created = unwrap(await createFlow(call(user), { definition, visibility: 'PRIVATE' }))
    flows.set(definition.name, encodeId('flow', created.id))
  }
})

const START = `mutation Start($flow: String!, $input: JSON) {
  startExecution(input: { flow: $flow, input: $input, waitMs: 10000 }) { ... on StartExecutionSuccess { execution { id status } } }
}`
const start = async (flow: string, input: unknown = {}): Promise<string> => {
  const { data } = await run(user, START, { flow: flows.get(flow), input })
  return data.startExecution.execution.id
}

const signIn = (email: string) =>
  run(undefined, `mutation SignIn($email: String!) { signIn(input: { email: $email, password: "wrong" }) { __typename } }`, {
    email,
  })

test('failed sign-ins from one address, and on one account, raise an event each (B14)', async () => {
  for (let attempt = 0; attempt < 8; attempt++) await signIn(`nobody-${attempt}@example.com`)
  for (let attempt = 0; attempt < 5; attempt++) await signIn(`${user.handle}@example.com`)
  security.watch.count('SIGN_IN_FAILURES', [{ kind: 'USER', id: user.id }], 3)
  const found = await events({ kind: ['SIGN_IN_FAILURES'] })
  const about = (kind: string) => found.find(({ subject }) => subject.kind === kind)
  expect(about('ADDRESS')).toMatchObject({ severity: 'WARNING', count: 13, subject: { id: null, address: '192.0.2.1' } })
  expect(about('ADDRESS')?.auditEvent).toEqual({ type: 'security.signInFailures', severity: 'WARNING' })
  expect(about('ADDRESS')?.advice).toContain('Block the address')
  // from one address the limit of attempts lets five look an account up; the others came from elsewhere
  expect(about('USER')).toMatchObject({ count: 8, subject: { user: { id: encodeId('user', user.id) } } })
})

test('refusals of one principal raise an event about it (B14)', async () => {
  for (let attempt = 0; attempt < 6; attempt++) await run(user, '{ users { edges { node { id } } } }')
  expect(await events()).toMatchObject([
    {
      kind: 'REFUSALS',
      count: 6,
      subject: { kind: 'USER', id: encodeId('user', user.id), user: { id: encodeId('user', user.id) } },
    },
  ])
})

test('a refresh token that is used twice is told of at once, and whose it was (B1, B14)', async () => {
  const somebody = await person()
  const hash = await services.identity.passwords.hash('Correct-horse-9')
  await ownerQuery('update sluice.users set password_hash = $2 where id = $1', [somebody.id, hash])
  const { data } = await run(
    undefined,
    `mutation In($email: String!) { signIn(input: { email: $email, password: "Correct-horse-9" }) { ... on SignInSuccess { refreshToken } } }`,
    { email: `${somebody.handle}@example.com` },
  )
  const refresh = `mutation Refresh($token: String!) { refreshSession(input: { refreshToken: $token }) { __typename } }`
  const token = data.signIn.refreshToken
  for (let times = 0; times < 2; times++) await run(undefined, refresh, { token })
  expect(await events({ kind: ['TOKEN_REUSED'] })).toMatchObject([
    { kind: 'TOKEN_REUSED', severity: 'CRITICAL', count: 1, subject: { id: encodeId('user', somebody.id) } },
  ])
})

test('lists that are read in bulk raise an event (B14)', async () => {
  for (let flow = 0; flow < 3; flow++) {
    unwrap(await createFlow(call(user), { definition: FLOW(`f${flow}`, { type: 'transform', set: {} }), visibility: 'PRIVATE' }))
  }
  for (let page = 0; page < 7; page++) await run(user, '{ flows(first: 100) { edges { node { id } } } }')
  await security.watch.runOnce()
  // nothing is read: nothing is counted
  await run(user, '{ agentRequests(first: 100) { edges { node { id } } } }')
  expect(await events({ kind: ['BULK_READS'], subject: encodeId('user', user.id) })).toMatchObject([
    { kind: 'BULK_READS', count: 42, severity: 'WARNING' },
  ])
})

test('sensitive values that are read of several executions raise an event (B14)', async () => {
  const ids = [
    await start('sensitive', { code: 'a' }),
    await start('sensitive', { code: 'b' }),
    await start('sensitive', { code: 'c' }),
  ]
  for (const id of ids) await run(user, `query One($id: ID!) { execution(id: $id) { input(unmask: true) } }`, { id })
  expect(await events({ kind: ['BULK_UNMASKS'] })).toMatchObject([{ kind: 'BULK_UNMASKS', severity: 'CRITICAL', count: 3 }])
})

test('starts that are many times as many as usual raise an event (B14)', async () => {
  for (let times = 0; times < 5; times++) await start('sensitive')
  expect(await events({ kind: ['UNUSUAL_STARTS'] })).toMatchObject([{ count: 5, subject: { kind: 'USER' } }])
})

test('steps of one flow that fail again and again raise an event about it, crashes one more (D7)', async () => {
  for (let times = 0; times < 4; times++) await start('fails')
  for (let times = 0; times < 2; times++) await start('crashes')
  expect(await events({ kind: ['FAILING_STEPS', 'HANDLER_CRASHES'] })).toMatchObject([
    {
      kind: 'HANDLER_CRASHES',
      count: 2,
      subject: { kind: 'FLOW', id: flows.get('crashes'), flow: { id: flows.get('crashes') } },
    },
    { kind: 'FAILING_STEPS', count: 4, subject: { id: flows.get('fails') } },
  ])
})

test('executions of one flow that fail raise one event, however many more do (D7)', async () => {
  for (let times = 0; times < 5; times++) await start('fails')
  await events()
  for (let times = 0; times < 5; times++) await start('fails')
  const seen = await events({ kind: ['FAILING_EXECUTIONS'] })
  expect(seen).toMatchObject([{ severity: 'WARNING', subject: { kind: 'FLOW', id: flows.get('fails') } }])
  expect(seen[0]!.count).toBeGreaterThanOrEqual(10)
})

test('an audit log that is found broken raises an event (C7, C8)', async () => {
  await ownerQuery('alter table sluice.audit_events disable trigger all')
  await ownerQuery(
    'update sluice.audit_events set success = not success where id = (select min(id::text)::uuid from sluice.audit_events)',
  )
  await run(admin, '{ auditVerification(first: 10000) { intact } }')
  expect(await events()).toMatchObject([{ kind: 'AUDIT_BROKEN', severity: 'CRITICAL', subject: { kind: 'EVERYBODY', id: null } }])
})

test('events are found by what they are, whom they are about and when', async () => {
  const [mine, theirs] = [await person(), await person()]
  security.watch.count('REFUSALS', [mine], 6)
  security.watch.count('TOKEN_REUSED', [theirs])
  await security.watch.runOnce()
  const kinds = async (filter: object) => (await events(filter as Record<string, unknown>)).map(({ kind }) => kind)
  expect(await kinds({})).toEqual(expect.arrayContaining(['REFUSALS', 'TOKEN_REUSED']))
  expect(await kinds({ severity: ['CRITICAL'] })).toEqual(['TOKEN_REUSED'])
  expect(await kinds({ severity: ['INFO'] })).toEqual([])
  expect(await kinds({ kind: ['REFUSALS'] })).toEqual(['REFUSALS'])
  expect(await kinds({ subject: encodeId('user', theirs.id) })).toEqual(['TOKEN_REUSED'])
  expect(await kinds({ subject: '192.0.2.1' })).toEqual([])
  expect(await kinds({ until: '1970-01-01T00:00:00.000Z' })).toEqual([])
  expect(await kinds({ since: '2999-01-01T00:00:00.000Z' })).toEqual([])
  expect((await run(user, EVENTS)).codes).toEqual(['FORBIDDEN'])

  const [{ id }] = (await events({ kind: ['REFUSALS'] })) as [Shown]
  const one = (who: Principal) => run(who, 'query One($id: ID!) { node(id: $id) { id } }', { id })
  expect((await one(admin)).data.node).toEqual({ id })
  expect((await one(user)).data.node).toBeNull()
})

const FEED = `subscription Alarm($filter: AuditFilter, $after: String) {
  auditFeed(filter: $filter, after: $after) {
    __typename
    ... on FeedFrame { cursor }
    ... on AuditSnapshot { events { id type at severity ip metadata actor { handle } } }
    ... on AuditDelta { events { id type severity actorKind success } }
    ... on FeedHeartbeat { serverTime }
    ... on FeedGap { reason }
    ... on FeedEnd { reason execution { id } }
    ... on FeedClosed { reason }
  }
}`
const follow = createFollower(schema, calls.makeFrameCall, createLog('silent'))
const prepare = createPreparer(schema, false)

interface Alarm {
  __typename: string
  cursor: string
  events?: { type: string; severity: string }[]
}

/** As the server does it. */
async function subscribe(principal: Principal | undefined, variables: Record<string, unknown>) {
  const plan = prepare(FEED) as Plan
  const contextValue = call(principal)
  const source = await createSourceEventStream({ schema, document: plan.document, variableValues: variables, contextValue })
  if (!(source instanceof FeedSource))
    return { refused: (source as ExecutionResult).errors?.map(({ extensions }) => extensions['code']) }
  const frames = new Pulled<string>((sink) => follow({ source, plan, variables, visitor: contextValue }).follow(sink))
  return {
    async next(): Promise<Alarm> {
      const { value } = await frames.next()
      const { data, errors } = JSON.parse(value!) as { data: { auditFeed: Alarm }; errors?: unknown }
      expect(errors).toBeUndefined()
      return data.auditFeed
    },
    leave: () => frames.return(),
  }
}

test('the audit feed with `security: true` is the alarm of administrators, and of nobody else (C8)', async () => {
  for (const nobody of [user, await person('VIEWER')]) {
    expect(await subscribe(nobody, {})).toEqual({ refused: ['FORBIDDEN'] })
  }
  expect(await subscribe(undefined, {})).toEqual({ refused: ['UNAUTHENTICATED'] })
  await seal()
  const feed = await subscribe(admin, { filter: { security: true } })
  const snapshot = await feed.next!()
  expect(snapshot.__typename).toBe('AuditSnapshot')
  security.watch.count('POISONED_STEPS', [{ kind: 'FLOW', id: user.id }])
  await security.watch.runOnce()
  await run(user, '{ users { edges { node { id } } } }')
  await seal()
  const delta = await feed.next!()
  expect(delta).toMatchObject({
    __typename: 'AuditDelta',
    events: [{ type: auditTypeOf('POISONED_STEPS'), severity: 'CRITICAL' }],
  })
  await feed.leave!()
  const resumed = await subscribe(admin, { filter: { security: true }, after: snapshot.cursor })
  await vi.waitFor(async () => expect(await resumed.next!()).toMatchObject({ __typename: 'AuditDelta', events: delta.events }))
  await resumed.leave!()
})

test('the audit log is searched by address (C7)', async () => {
  await signIn('nobody@example.com')
  const search = `query Search($ip: String!) { auditEvents(filter: { ip: $ip, type: "signIn.refused" }) { edges { node { ip } } } }`
  const { data } = await run(admin, search, { ip: '192.0.2.1' })
  expect(data.auditEvents.edges.length).toBeGreaterThan(0)
  for (const ip of ['192.0.2.2', '192.0.2.1\0', '']) {
    expect((await run(admin, search, { ip })).data.auditEvents.edges).toEqual([])
  }
})
