/**
 * A whole server, killed at random moments while people change everything that can be changed and retention removes what is old: no
 * change is without its audit entry, no entry without its change. `SLUICE_TEST_SEED` repeats the chance, not the moments.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { auditEntry, recordAudit } from '../../src/audit/record-audit.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import { createSealer } from '../../src/audit/sealer.ts'
import { verifyAudit } from '../../src/audit/verify-audit.ts'
import { decodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { makePartitions, olderId, superuserOf } from '../harness/age.ts'
import { seededChance } from '../harness/seeded.ts'
import { dataDirectory, signInTo, startServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'
import { settled } from './settled.ts'

const ROUNDS = 10
const PEOPLE = 12
const OLD = 30_000
const OLD_EVENTS = 20_000
const AUDIT_KEY = 'Yx8Zr2kQ5n1Tq7Wv0Lp3Hs9Dc4Mb6Jf2Gt8Ke1Ru'

const { database, name, env } = await testDatabase()
const dataDir = await dataDirectory()
const keys = createAuditKeys(AUDIT_KEY)
const head = createSealedHead(keys, join(dataDir, 'audit-head'))
const chance = seededChance()
type Run = Awaited<ReturnType<typeof signInTo>>

/** What people know of: what the server told them before it was killed. */
const known = {
  flows: [] as { id: string; version: number; name: string }[],
  executions: [] as string[],
  paused: [] as string[],
  users: [] as { id: string; version: number }[],
  keys: [] as string[],
  links: [] as string[],
  secrets: [] as { name: string; version: number }[],
  refreshTokens: [] as string[],
}
const take = <Thing>(things: Thing[]): Thing | undefined => things.splice(chance.between(0, things.length - 1), 1)[0]
const fresh = (prefix: string): string => `${prefix}${randomUUID().replaceAll('-', '').slice(0, 16)}`
const PASSWORD = 'Correct-Horse-7-Battery'

const definition = (flowName: string): object => ({
  name: flowName,
  input: { type: 'object', properties: { how: { type: 'string' } } },
  steps: {
    how: { type: 'route', cases: ['ask', 'wait', 'hear'].map((to) => ({ when: `input.how == '${to}'`, to })), otherwise: 'end' },
    ask: { type: 'agent', on: 'how:ask', role: 'ceo', subject: 'Well?', request: {}, timeout: 'PT600S' },
    wait: { type: 'wait', on: 'how:wait', duration: 'PT1H' },
    hear: { type: 'signal', on: 'how:hear', signals: ['go'], timeout: 'PT1H' },
  },
})

/** `fields` of the success; undefined when it was a problem, which changes nothing. */
// what a mutation is asked for is what its caller reads
// oxlint-disable-next-line no-explicit-any
async function mutate(run: Run, mutation: string, input: object, fields: string): Promise<any> {
  const type = `${mutation[0]!.toUpperCase()}${mutation.slice(1)}`
  const document = `mutation ($input: ${type}Input!) { it: ${mutation}(input: $input) { __typename ... on ${type}Success { ${fields} } } }`
  const { it } = await run(document, { input })
  return it.__typename === `${type}Success` ? it : undefined
}

let starts = 0
/** Everything that somebody may do; each is one change, or none. */
const DEEDS: Record<string, (run: Run, url: string) => Promise<unknown>> = {
  async createFlow(run) {
    const flowName = fresh('flow_')
    const made = await mutate(run, 'createFlow', { definition: definition(flowName) }, 'flow { id version }')
    if (made) known.flows.push({ ...made.flow, name: flowName })
  },
  async publishFlowVersion(run) {
    const flow = take(known.flows)
    if (!flow) return
    const made = await mutate(
      run,
      'publishFlowVersion',
      { flowId: flow.id, definition: { ...definition(flow.name), description: fresh('') }, expectedVersion: flow.version },
      'flow { version }',
    )
    if (made) known.flows.push({ ...flow, version: made.flow.version })
  },
  async updateFlow(run) {
    const flow = take(known.flows)
    if (!flow) return
    const made = await mutate(
      run,
      'updateFlow',
      { flowId: flow.id, description: fresh(''), expectedVersion: flow.version },
      'flow { version }',
    )
    if (made) known.flows.push({ ...flow, version: made.flow.version })
  },
  async grantFlowAccess(run) {
    const [flow] = known.flows
    if (flow)
      await mutate(
        run,
        'grantFlowAccess',
        { flowId: flow.id, grants: [{ to: { role: 'VIEWER' }, action: 'VIEW' }] },
        'flow { id }',
      )
  },
  async start(run) {
    const [flow] = known.flows
    if (!flow) return
    const input = { flow: flow.id, input: { how: ['ask', 'wait', 'hear', 'end'][starts++ % 4] }, idempotencyKey: fresh('') }
    const made = await mutate(run, 'startExecution', input, 'execution { id }')
    if (made) known.executions.push(made.execution.id)
  },
  cancel: (run) => mutate(run, 'cancelExecution', { id: take(known.executions) ?? 'none' }, '__typename'),
  async pause(run) {
    const id = take(known.executions)
    if (id && (await mutate(run, 'pauseExecution', { id }, '__typename'))) known.paused.push(id)
  },
  async resume(run) {
    const id = take(known.paused)
    if (id && (await mutate(run, 'resumeExecution', { id }, '__typename'))) known.executions.push(id)
  },
  signal: (run) => mutate(run, 'signalExecution', { id: chance.pick(known.executions) ?? 'none', signal: 'go' }, '__typename'),
  async answer(run) {
    const { agentRequests } = await run('{ agentRequests(filter: { status: OPEN }, first: 20) { edges { node { id } } } }')
    const ids = agentRequests.edges.map(({ node }: { node: { id: string } }) => node.id)
    if (ids.length > 0)
      await mutate(
        run,
        'answerAgentRequest',
        { id: chance.pick(ids), decision: 'APPROVE', idempotencyKey: fresh('') },
        '__typename',
      )
  },
  async createUser(run) {
    const handle = fresh('u-')
    const made = await mutate(
      run,
      'createUser',
      { email: `${handle}@example.com`, handle, name: 'Somebody', password: PASSWORD, role: 'USER' },
      'user { id version }',
    )
    if (made) known.users.push(made.user)
  },
  async updateUser(run) {
    const user = take(known.users)
    if (!user) return
    const made = await mutate(
      run,
      'updateUser',
      { id: user.id, name: fresh('n'), expectedVersion: user.version },
      'user { id version }',
    )
    if (made) known.users.push(made.user)
  },
  async deleteUser(run) {
    const user = take(known.users)
    if (user) await mutate(run, 'deleteUser', { id: user.id, expectedVersion: user.version }, '__typename')
  },
  async createApiKey(run) {
    const made = await mutate(run, 'createApiKey', { name: fresh('key'), scopes: ['FLOWS_READ'] }, 'apiKey { id }')
    if (made) known.keys.push(made.apiKey.id)
  },
  revokeApiKey: (run) => mutate(run, 'revokeApiKey', { id: take(known.keys) ?? 'none' }, '__typename'),
  async createExecutionLink(run) {
    const made = await mutate(
      run,
      'createExecutionLink',
      { executionId: chance.pick(known.executions) ?? 'none', may: 'READ' },
      'link { id }',
    )
    if (made) known.links.push(made.link.id)
  },
  revokeExecutionLink: (run) => mutate(run, 'revokeExecutionLink', { id: take(known.links) ?? 'none' }, '__typename'),
  async setSecret(run) {
    const again = chance.next() < 0.5 ? take(known.secrets) : undefined
    const secretName = again?.name ?? fresh('S')
    const input = { name: secretName, value: fresh('v8Kq2'), ...(again && { expectedVersion: again.version }) }
    const made = await mutate(run, 'setSecret', input, 'secret { name version }')
    if (made) known.secrets.push(made.secret)
  },
  async deleteSecret(run) {
    const secret = take(known.secrets)
    if (secret) await mutate(run, 'deleteSecret', { name: secret.name, expectedVersion: secret.version }, '__typename')
  },
  async signIn(_run, url) {
    await signInTo(url, dataDir)
  },
}

/** Tables as sorted keys, one for each change that must have an entry; and the keys of these entries. */
interface Ledger {
  changes: string
  entries(events: Events): (string | null | undefined)[]
}
interface Told {
  type: string
  flow_id: string | null
  execution_id: string | null
  metadata: Record<string, unknown> | null
}
type Events = (...types: string[]) => Told[]
const named = (kind: Parameters<typeof decodeId>[0], field: string, types: string[]) => (events: Events) =>
  events(...types).map(({ metadata }) => decodeId(kind, String(metadata?.[field])))
const keyOf = (id: unknown, number: unknown): string => `${String(id)} ${Number(number)}`
const OLD_FLOW = randomUUID()
const OURS = `flow_id <> '${OLD_FLOW}'`

const LEDGERS: Record<string, Ledger> = {
  flows: {
    changes: 'select id::text as key from sluice.flows',
    entries: (events) => events('flow.created').map((row) => row.flow_id),
  },
  'flow versions': {
    changes: `select flow_id || ' ' || number as key from sluice.flow_versions where number > 1`,
    entries: (events) => events('flow.published').map(({ flow_id: id, metadata }) => keyOf(id, metadata?.['latestNumber'])),
  },
  'edits of flows': {
    changes: `select id || ' ' || v as key from sluice.flows, generate_series(2, version) as v`,
    entries: (events) =>
      events('flow.published', 'flow.updated').map(({ flow_id: id, metadata }) => keyOf(id, metadata?.['version'])),
  },
  grants: {
    changes: 'select flow_id::text as key from sluice.flow_grants',
    entries: (events) => [...new Set(events('flow.shared').map((row) => row.flow_id))],
  },
  users: { changes: 'select id::text as key from sluice.users', entries: named('user', 'userId', ['user.created']) },
  'deleted users': {
    changes: 'select id::text as key from sluice.users where deleted_at is not null',
    entries: named('user', 'userId', ['user.deleted']),
  },
  'edits of users': {
    changes: 'select id::text as key from sluice.users, generate_series(2, version)',
    entries: named('user', 'userId', ['user.updated', 'user.deleted']),
  },
  keys: { changes: 'select id::text as key from sluice.api_keys', entries: named('apiKey', 'keyId', ['apiKey.created']) },
  'revoked keys': {
    changes: 'select id::text as key from sluice.api_keys where revoked_at is not null',
    entries: named('apiKey', 'keyId', ['apiKey.revoked']),
  },
  links: {
    changes: 'select id::text as key from sluice.execution_links',
    entries: named('executionLink', 'linkId', ['executionLink.created']),
  },
  'revoked links': {
    changes: 'select id::text as key from sluice.execution_links where revoked_at is not null',
    entries: named('executionLink', 'linkId', ['executionLink.revoked']),
  },
  secrets: {
    changes: `select id || ' ' || v as key from sluice.secrets, generate_series(1, version) as v`,
    entries(events) {
      const deleted = new Set(named('secret', 'secret', ['secret.deleted'])(events))
      const set = events('secret.set').map(({ metadata }) => [
        decodeId('secret', String(metadata?.['secret'])),
        metadata?.['version'],
      ])
      return set.filter(([id]) => !deleted.has(id as string)).map(([id, version]) => keyOf(id, version))
    },
  },
  sessions: {
    changes: 'select id::text as key from sluice.sessions',
    entries: named('session', 'sessionId', ['signIn.succeeded']),
  },
  executions: {
    changes: `select id::text as key from sluice.executions where ${OURS}`,
    entries: (events) => events('execution.started').map((row) => row.execution_id),
  },
  'their keys': {
    changes: `select subject_id::text as key from sluice.idempotency_keys where operation = 'startExecution'`,
    entries: (events) => events('execution.started').map((row) => row.execution_id),
  },
  ends: {
    changes: `select id::text as key from sluice.executions where ended_at is not null and ${OURS}`,
    entries: (events) => events('execution.finished').map((row) => row.execution_id),
  },
  ...Object.fromEntries(
    ['paused', 'resumed'].map((verb): [string, Ledger] => [
      verb,
      {
        changes: `select execution_id::text as key from sluice.events where type = 'execution.${verb}'`,
        entries: (events) => events(`execution.${verb}`).map((row) => row.execution_id),
      },
    ]),
  ),
  cancels: {
    changes: `select id::text as key from sluice.executions where status = 'CANCELED' or cancel_reason is not null`,
    entries: (events) => events('execution.cancelRequested').map((row) => row.execution_id),
  },
  signals: {
    changes: 'select execution_id::text as key from sluice.signals',
    entries: (events) => events('execution.signaled').map((row) => row.execution_id),
  },
  answers: {
    changes: `select execution_id::text as key from sluice.agent_requests where status = 'ANSWERED'`,
    entries: (events) => events('agentRequest.answered').map((row) => row.execution_id),
  },
}

/** Executions that ended 40 days ago: their payloads are due. */
async function makeOld(): Promise<void> {
  const superuser = await superuserOf(name)
  await makePartitions(superuser, [Date.now() - 40 * 86_400_000])
  const base = olderId('00000000-0000-7000-8000-000000000000'.replace(/^.{13}/, timeOfNow()), 40)
  await superuser.query(
    `with made as (
       insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, seq, last_event_at, state_bytes, steps_total, created_at, started_at, ended_at)
       select (left($1::text, 24) || lpad(to_hex(n), 12, '0'))::uuid, $2, $2, $2, 'SUCCEEDED', 2, t, 2, 1, t, t, t
       from generate_series(1, ${OLD}) as n, (select now() - interval '39 days' as t) as x returning id),
     inputs as (insert into sluice.execution_inputs select id, '{}' from made)
     insert into sluice.step_runs (execution_id, path, name, type, status, attempt, finished_at)
     select id, 'a', 'a', 'handler', 'SUCCEEDED', 1, now() from made`,
    [base, OLD_FLOW],
  )
}
const timeOfNow = (): string => {
  const hex = Date.now().toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}`
}

/** In this order each of them finds something to do. */
const IN_TURN = [
  ...['createFlow', 'createFlow', 'createFlow', 'publishFlowVersion', 'updateFlow', 'grantFlowAccess', 'signIn'],
  ...Array.from({ length: 12 }, () => 'start'),
  ...[
    'pause',
    'pause',
    'pause',
    'pause',
    'resume',
    'resume',
    'resume',
    'resume',
    'signal',
    'signal',
    'answer',
    'cancel',
    'cancel',
  ],
  ...['createExecutionLink', 'createExecutionLink', 'createExecutionLink', 'revokeExecutionLink'],
  ...['createUser', 'createUser', 'updateUser', 'deleteUser', 'createApiKey', 'createApiKey', 'revokeApiKey'],
  ...['setSecret', 'setSecret', 'setSecret', 'deleteSecret'],
]
/** Passwords cost time on purpose: seldom, so that the rest is not held up. */
const OFTEN = [...IN_TURN, ...IN_TURN, ...Object.keys(DEEDS)].filter(
  (deed, at) => at < 4 || !['signIn', 'createUser'].includes(deed) || at % 3 === 0,
)

/** The beginning of the log: rows of 400 days ago, sealed then. */
async function makeOldEvents(): Promise<void> {
  const past = { ...database, clock: { ...database.clock, now: () => Date.now() - 400 * 86_400_000 } }
  for (let left = OLD_EVENTS; left > 0; left -= 1_000) {
    const entries = Array.from({ length: 1_000 }, () =>
      auditEntry({ origin: {}, services: { database: past, auditKeys: keys } }, { type: 'test.old' }),
    )
    await database.transaction((em) => recordAudit(em, ...entries))
  }
  await settled(database)
  await createSealer({ database: past, keys, head, log: createLog('silent') }).runOnce()
}

/** One person, until the server is gone. */
async function live(run: Run, url: string, isOver: () => boolean): Promise<number> {
  let done = 0
  while (!isOver()) {
    const deed = DEEDS[chance.pick(OFTEN)]!
    // what was under way when the server died may or may not have happened: the ledgers say which
    await deed(run, url).then(
      () => done++,
      () => pause(5),
    )
  }
  return done
}

test(
  `whatever the moment at which a server is killed, ${ROUNDS} times: no change without its entry, no entry without its change (C7)`,
  { timeout: 400_000 },
  async () => {
    const environment = {
      ...env,
      SLUICE_AUDIT_KEY: AUDIT_KEY,
      SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE: '1000000',
      SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '1000000',
      SLUICE_LIMIT_RUNNING_PER_INITIATOR: '1000000',
    }
    // once in peace, so that everybody finds something to do, and the old ones their tables
    await makeOldEvents()
    const first = await startServerProcess(dataDir, { ...environment, SLUICE_RETAIN_AUDIT_DAYS: '3650' })
    const admin = await signInTo(first.url, dataDir)
    for (const deed of IN_TURN) await DEEDS[deed]!(admin, first.url)
    expect(Object.keys(DEEDS).filter((deed) => !IN_TURN.includes(deed))).toEqual([])
    await first.end('SIGTERM')
    await makeOld()
    let deeds = 0
    /** As if the one before had been killed so long ago that it is known to be dead: then the next one removes. */
    const startServer = async () => {
      await database.query('delete from sluice.locks')
      return startServerProcess(dataDir, environment)
    }
    for (let round = 0; round < ROUNDS; round++) {
      const server = await startServer()
      const run = await signInTo(server.url, dataDir)
      let isOver = false
      const people = Array.from({ length: PEOPLE }, () => live(run, server.url, () => isOver))
      await pause(chance.between(100, 2500))
      await server.end('SIGKILL')
      isOver = true
      deeds += (await Promise.all(people)).reduce((sum, done) => sum + done, 0)
    }
    const removedWhileKilled = await database.query(`select id from sluice.audit_events where type = 'retention.removed'`)
    await (await startServer()).end('SIGTERM')

    const told = await database.query<Told>(
      `select type, flow_id, execution_id, metadata from sluice.audit_events where success or type = 'execution.finished' order by xid, id`,
    )
    const events: Events = (...types) => told.filter(({ type }) => types.includes(type))
    console.log(`${deeds} deeds, ${told.length} entries, ${removedWhileKilled.length} batches of retention`)
    for (const [what, { changes, entries }] of Object.entries(LEDGERS)) {
      const changed = (await database.query<{ key: string }>(changes)).map(({ key }) => key).toSorted()
      expect(entries(events).map(String).toSorted(), what).toEqual(changed)
      expect(changed.length, `there were ${what}`).toBeGreaterThan(0)
    }
    const [left] = await database.query<{ inputs: number; runs: number }>(
      `select (select count(*)::int from sluice.execution_inputs i join sluice.executions e on e.id = i.execution_id where not ${OURS}) as inputs,
       (select count(*)::int from sluice.step_runs s join sluice.executions e on e.id = s.execution_id where not ${OURS}) as runs`,
    )
    const removed = events('retention.removed').reduce(
      (sum, { metadata }) => sum + Number(metadata?.['executionPayloads'] ?? 0),
      0,
    )
    expect(removed).toBe(OLD - left!.inputs)
    expect(left!.runs, 'both or neither').toBe(left!.inputs)
    expect(removedWhileKilled.length).toBeGreaterThan(ROUNDS / 2)
    const shortened = events('retention.removed').reduce((sum, { metadata }) => sum + Number(metadata?.['auditEvents'] ?? 0), 0)
    expect(shortened).toBe(OLD_EVENTS - events('test.old').length)
    const checkpoints = await database.query('select events from sluice.audit_checkpoints')
    expect(checkpoints).toEqual([{ events: shortened }])

    expect(await verifyAudit({ database, keys, head, limit: 1_000_000 })).toMatchObject({
      intact: true,
      complete: true,
      checked: (await database.query('select id from sluice.audit_events')).length,
    })
  },
)
