/** The checks of a request as the server runs them, each callable by itself: token, permission, limits, body, audit. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { sql } from 'kysely'
import { Registry } from 'prom-client'
import { schema } from '../src/api/schema.ts'
import { createAuditKeys } from '../src/audit/audit-keys.ts'
import { AuditEvent } from '../src/audit/entities/audit-event.ts'
import type { AuditEntry } from '../src/audit/audit-entry.ts'
import { auditEntry, recordAudit } from '../src/audit/record-audit.ts'
import { openDatabase } from '../src/database/database.ts'
import type { Database } from '../src/database/database.ts'
import { ENGINE_ENTITIES } from '../src/engine/entities/all.ts'
import { createLocalBus } from '../src/fleet/local-bus.ts'
import { createMemoryLimiter } from '../src/fleet/memory-limiter.ts'
import { connectRedis } from '../src/fleet/redis-connection.ts'
import { createRedisLimiters } from '../src/fleet/redis-limiter.ts'
import { createAttemptLimiter } from '../src/identity/attempt-limiter.ts'
import { createAuthChanges } from '../src/identity/auth-changes.ts'
import { createIdentity, IDENTITY_ENTITIES } from '../src/identity/identity.ts'
import { createSecretKeys } from '../src/identity/secret-keys.ts'
import { createMailRoom } from '../src/identity/mail-room.ts'
import { isAllowed } from '../src/identity/principal.ts'
import type { Principal } from '../src/identity/principal.ts'
import { insertUser } from '../src/identity/users.ts'
import { newUuid } from '../src/ids.ts'
import { createLog } from '../src/log.ts'
import type { Call } from '../src/operations/call.ts'
import { mayStartExecutions, visibleExecutions, visibleFlows } from '../src/operations/permissions.ts'
import { admit } from '../src/server/admit.ts'
import { createEntrance } from '../src/server/entrance.ts'
import { createPreparer } from '../src/server/prepare.ts'
import type { Plan } from '../src/server/prepare.ts'
import { createBodyReader } from '../src/server/read-request.ts'
import { createRequestLimits } from '../src/server/request-limits.ts'
import { startServer } from './server.ts'
import { TRIGGER_ENTITIES } from '../src/triggers/entities/all.ts'

export interface Part {
  readonly name: string
  run(at: number): unknown
  /** in one round */
  readonly times: number
  /** part of every request of somebody who was here before */
  readonly usual: boolean
}

const UNLIMITED = 1_000_000_000
const TOKENS = 400
const ROWS_A_COMMIT = 100

const DOCUMENT = `mutation Start($flow: String!, $input: JSON!) {
  startExecution(input: { flow: $flow, input: $input }) {
    ... on StartExecutionSuccess { execution { id status routeTaken completedSteps output } }
    ... on ValidationProblem { issues { code path message hint } }
    ... on Problem { code message }
  }
}`
const VARIABLES = { flow: 'feature_approval', input: { feature_name: 'Dark mode', estimated_cost: 5_000 } }

/** Every check on a real database, and on Redis where there is one. */
export async function openSecurity(): Promise<{ parts: Part[]; inARow: Part; close(): Promise<void> }> {
  const stack = new AsyncDisposableStack()
  const log = createLog('warn')
  const server = await startServer()
  stack.defer(() => server.stop())
  const connection = await server.makeDatabase('bench_security', true)
  const entities = [...ENGINE_ENTITIES, AuditEvent, ...IDENTITY_ENTITIES, ...TRIGGER_ENTITIES]
  const database = await openDatabase({ connection, entities, poolSize: 4, log })
  stack.defer(() => database.close())
  const authChanges = createAuthChanges({ database, bus: createLocalBus(log), log })
  authChanges.start()
  stack.defer(() => authChanges.stop())
  const signInAttempts = createAttemptLimiter(createMemoryLimiter, UNLIMITED)
  const mailRoom = createMailRoom({ database, send: undefined, passwordResetUrl: undefined, log })
  const identity = createIdentity({
    database,
    jwtSecrets: { signing: newUuid() },
    authChanges,
    signInAttempts,
    mailRoom,
    secretKeys: createSecretKeys(newUuid()),
    agentRoles: new Set(),
    log,
  })

  const limits = createRequestLimits(createMemoryLimiter, UNLIMITED)
  const enter = createEntrance(limits, identity.authenticate)
  const origin = { ip: '192.0.2.1', userAgent: 'bench' }
  const [authorization, ...others] = await authorizations(database, identity.tokens)
  const principal = (await enter({ origin }, authorization))!
  const call = { principal, origin, services: { database, auditKeys: createAuditKeys('protects nothing') } } as unknown as Call

  const prepare = createPreparer(schema, true)
  const plan = prepare(DOCUMENT) as Plan
  const body = Buffer.from(JSON.stringify({ query: DOCUMENT, variables: VARIABLES }))
  const kysely = database.fork().getKysely<unknown>()

  const readBody = createBodyReader()
  const read = async (): Promise<unknown> => JSON.parse(await readBody(requestOf(body), principal.actsAs))
  const isPermitted = (): boolean => {
    visibleNow(principal).compile(kysely)
    return isAllowed(principal, 'EXECUTIONS_WRITE') && mayStartExecutions(principal, { level: 2 }, {})
  }
  const admitted = () =>
    admit(call, plan, { query: DOCUMENT, variables: VARIABLES }, { door: 'HTTP' }, { schema, production: true })
  const started = (): AuditEntry => auditEntry(call, { type: 'execution.started', executionId: principal.id })
  const written = (entries: AuditEntry[]) => database.transaction((em) => recordAudit(em, ...entries))
  const waiting: AuditEntry[] = []
  /** A start's entry is a row of the commit's one statement, which serves many starts. */
  const audited = () => (waiting.push(started()) < ROWS_A_COMMIT ? undefined : written(waiting.splice(0)))

  const seldom = { usual: false, times: TOKENS }
  const usual = { usual: true, times: 20_000 }
  const shared = await limitsInRedis(stack)
  let turn = 0
  const parts: Part[] = [
    { ...usual, name: 'token: remembered', run: () => enter({ origin }, authorization) },
    {
      ...seldom,
      name: 'token: for the first time (signature, one query)',
      run: () => enter({ origin }, others[turn++ % others.length]),
    },
    { ...usual, name: 'permission: scope, role, conditions on rows', run: isPermitted },
    { ...usual, name: 'limits: in memory', run: () => limits.take(call) },
    ...(shared ? [{ ...usual, usual: false, times: 4_000, name: 'limits: in Redis instead', run: () => shared.take(call) }] : []),
    { ...usual, times: 10_000, name: 'body: length, type, UTF-8, JSON', run: read },
    { ...usual, name: 'document: known', run: () => prepare(DOCUMENT) },
    { ...seldom, name: 'document: new (parsed, every rule)', run: (at) => prepare(`${DOCUMENT} # ${turn++} ${at}`) },
    { ...usual, times: 10_000, name: 'variables and cost', run: admitted },
    { ...usual, times: 5_000, name: `audit: an entry among ${ROWS_A_COMMIT} of one statement, as starts write it`, run: audited },
    { ...seldom, name: 'audit: a transaction of its own', run: () => written([started()]) },
  ]
  const inARow: Part = {
    ...{ name: 'in a row', usual: false, times: 5_000 },
    async run() {
      await enter({ origin }, authorization)
      await read()
      await limits.take(call)
      prepare(DOCUMENT)
      admitted()
      isPermitted()
      await audited()
    },
  }
  return { parts, inARow, close: () => stack.disposeAsync() }
}

const visibleNow = (principal: Principal) => sql`select 1 where ${visibleExecutions(principal)} and ${visibleFlows(principal)}`

/** As Node hands it over: a stream with headers. */
const requestOf = (body: Buffer): IncomingMessage =>
  Object.assign(Readable.from([body]), {
    headers: { 'content-type': 'application/json', 'content-length': String(body.length) },
  }) as unknown as IncomingMessage

/** Of one user, each of a session of its own. */
async function authorizations(
  database: Database,
  tokens: { issue(userId: string, sessionId: string): Promise<{ accessToken: string }> },
): Promise<string[]> {
  const user = { email: 'bench@example.com', handle: 'bench', name: 'Bench', role: 'USER' as const, passwordHash: 'none' }
  const stored = await database.transaction((em) => insertUser(em, user))
  if ('taken' in stored) throw new Error('the database is not empty')
  const sessions = Array.from({ length: TOKENS * 8 }, newUuid)
  const open = `insert into sluice.sessions (id, user_id, expires_at) select id, $2, now() + interval '1 day' from unnest($1::uuid[]) id`
  await database.query(open, [sessions, stored.id])
  const issued = await Promise.all(sessions.map((session) => tokens.issue(stored.id, session)))
  return issued.map(({ accessToken }) => `Bearer ${accessToken}`)
}

/** On a Unix socket; undefined where there is no `redis-server`. */
async function limitsInRedis(stack: AsyncDisposableStack) {
  if (spawnSync('redis-server', ['--version']).status !== 0) return undefined
  const directory = await mkdtemp(join(tmpdir(), 'sluice-bench-redis-'))
  stack.defer(() => rm(directory, { recursive: true, force: true }))
  const path = join(directory, 'redis.sock')
  const settings = ['--port', '0', '--unixsocket', path, '--save', '', '--dir', directory]
  const server = spawn('redis-server', settings, { stdio: ['ignore', 'pipe', 'inherit'] })
  stack.defer(async () => {
    const ended = once(server, 'exit')
    server.kill()
    await ended
  })
  for await (const said of server.stdout) if (/ready to accept connections/i.test(String(said))) break
  const redis = await connectRedis(path, createLog('error'))
  stack.defer(() => redis.close())
  const createLimiter = createRedisLimiters({ redis, log: createLog('warn'), registry: new Registry() })
  return createRequestLimits(createLimiter, UNLIMITED)
}
