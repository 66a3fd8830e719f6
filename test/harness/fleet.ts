/** A fleet of a test file's own: PostgreSQL and Redis that a test may end, servers and workers as processes, and a caller who does not give up. */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { plan } from '../../migrations/list.ts'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import type { AuditKeys } from '../../src/audit/audit-keys.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import type { SealedHead } from '../../src/audit/sealed-head.ts'
import { openDatabase } from '../../src/database/database.ts'
import type { Database } from '../../src/database/database.ts'
import { startEmbedded } from '../../src/database/embedded.ts'
import type { EmbeddedPostgres } from '../../src/database/embedded.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from './has-redis.ts'
import { testRedis } from './redis.ts'
import type { TestRedis } from './redis.ts'
import { dataDirectory, spawnSluice } from './server-process.ts'
import type { ServerProcess } from './server-process.ts'

export const LEASE_MS = 2_000
const ADMIN = { email: 'admin@sluice.local', password: 'Correct-horse-1' }
const HANDLERS = `${import.meta.dirname}/../engine/fixtures/handlers`

export interface WorkerProcess extends ServerProcess {
  /** owns what it holds; known when it was the only one that began then, else empty */
  readonly workerId: string
}

export interface Fleet {
  readonly postgres: EmbeddedPostgres
  readonly redis: TestRedis | undefined
  /** the tests' own way to PostgreSQL */
  readonly database: Database
  readonly auditKeys: AuditKeys
  /** as a server of the fleet remembers it */
  readonly auditHead: SealedHead
  readonly servers: ServerProcess[]
  readonly workers: WorkerProcess[]
  /** ms since 1970: since when there is a worker */
  readonly manned: number
  /** `root`: of the checkout that it runs from, this one */
  startServer(environment?: Record<string, string>, root?: string): Promise<ServerProcess>
  startWorker(environment?: Record<string, string>, root?: string): Promise<WorkerProcess>
  /** By SIGKILL. */
  kill(member: ServerProcess): Promise<void>
  /** Once, by one server, as the administrator. Throws when it is down, and on top-level errors. */
  ask: Ask
  askOf(server: ServerProcess, ...question: Parameters<Ask>): ReturnType<Ask>
  /** Again until it is answered, by whichever server is up. */
  insist: Ask
  token(): Promise<string>
}

// what a document asks for is what its test reads
// oxlint-disable-next-line no-explicit-any
type Ask = (document: string, variables?: object) => Promise<any>

/** To be called at the top of a test file: without any process yet, and gone at the end of the file. A `REDIS_URL` is used as it is. */
export async function testFleet(environment: Record<string, string> = {}, { migrated = true } = {}): Promise<Fleet> {
  const auditKey = randomBytes(48).toString('base64url')
  const auditKeys = createAuditKeys(auditKey)
  const headPath = join(await dataDirectory(), 'head')
  // all on one machine: what is compiled for handlers is compiled once
  const ofMembers = await dataDirectory()
  const log = createLog('silent')
  const noDisk = { fsync: 'off', full_page_writes: 'off', max_connections: '300' }
  const postgres = await startEmbedded({ dataDir: await dataDirectory(), log, settings: noDisk })
  if (migrated) await migrateDatabase({ connection: postgres.ownerUrl, appRole: 'sluice_app', ...plan, release: 'test', log })
  const database = await openDatabase({ connection: postgres.ownerUrl, entities: [], poolSize: 4, log })
  const redis = hasRedis && !environment['REDIS_URL'] ? await testRedis() : undefined
  const settings: Record<string, string> = {
    ...{ DATABASE_URL: postgres.appUrl, DATABASE_OWNER_URL: postgres.ownerUrl, SLUICE_DATABASE_POOL_SIZE: '10' },
    ...(redis && { REDIS_URL: redis.url }),
    ...{ SLUICE_JWT_SECRET: randomBytes(48).toString('base64url'), SLUICE_ADMIN_PASSWORD: ADMIN.password },
    ...{ SLUICE_SECRETS_KEY: randomBytes(48).toString('base64url') },
    ...{ SLUICE_AUDIT_KEY: auditKey, SLUICE_AUDIT_HEAD_PATH: headPath },
    ...{ SLUICE_LEASE_MS: String(LEASE_MS), SLUICE_HANDLERS_DIR: HANDLERS, SLUICE_LOG_LEVEL: 'warn' },
    ...{ SLUICE_LIMIT_API_PER_MINUTE: '10000000', SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '10000' },
    ...{ SLUICE_LIMIT_RUNNING_PER_INITIATOR: '100000', SLUICE_LIMIT_CHILDREN_PER_INITIATOR: '100000' },
    ...environment,
  }
  const servers: ServerProcess[] = []
  const workers: WorkerProcess[] = []
  let token: Promise<string> | undefined
  let members = 0

  afterAll(async () => {
    await Promise.all([...servers, ...workers].map(kill))
    await database.close()
    await postgres.stop()
  })

  async function kill(member: ServerProcess): Promise<void> {
    for (const list of [servers, workers]) if (list.includes(member)) list.splice(list.indexOf(member), 1)
    await member.end('SIGKILL')
  }

  async function ask(document: string, variables: object = {}): Promise<unknown> {
    const server = servers[Math.floor(Math.random() * servers.length)]
    if (!server) throw new Error('no server is up')
    return askOf(server, document, variables)
  }

  async function askOf({ url }: ServerProcess, document: string, variables: object = {}): Promise<unknown> {
    token ??= signIn(url)
    token.catch(() => (token = undefined))
    return post(url, document, variables, await token)
  }

  async function signIn(url: string): Promise<string> {
    const document = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }'
    const data = (await post(url, document, { input: ADMIN })) as { signIn: { accessToken: string } }
    return data.signIn.accessToken
  }

  async function startWorker(more: Record<string, string> = {}, root?: string): Promise<WorkerProcess> {
    const before = await leases()
    const started = await start('work', { ...dispatch(), ...more }, root)
    const fresh = (await leases()).filter((id) => !before.includes(id))
    const worker = { ...started, workerId: fresh.length === 1 ? fresh[0]! : '' }
    if (workers.length === 0) fleet.manned = Date.now()
    workers.push(worker)
    return worker
  }

  async function start(command: 'serve' | 'work', more: Record<string, string>, root?: string): Promise<ServerProcess> {
    const started = spawnSluice(command, ofMembers, { ...settings, ...more }, root)
    await started.said(/Sluice is ready/)
    const [, url = ''] = /GraphiQL +(\S+)\/graphql/.exec(started.output()) ?? []
    return { ...started, url }
  }

  /** One and the other, as during a roll-out. */
  const dispatch = (): Record<string, string> => (redis && members++ % 2 === 0 ? { SLUICE_DISPATCH: 'redis' } : {})

  const leases = async (): Promise<string[]> =>
    (await database.query<{ id: string }>('select id from sluice.workers')).map(({ id }) => id)

  const insist = async (document: string, variables: object = {}): Promise<unknown> => {
    for (const until = performance.now() + INSIST_MS; ;) {
      try {
        return await ask(document, variables)
      } catch (error) {
        if (performance.now() > until) throw error
        await pause(50)
      }
    }
  }

  const fleet = {
    ...{ manned: 0, postgres, redis, database, auditKeys, servers, workers, kill, ask, askOf, insist, startWorker },
    auditHead: createSealedHead(auditKeys, headPath),
    async startServer(more: Record<string, string> = {}, root?: string) {
      const server = await start('serve', { ...dispatch(), ...more }, root)
      servers.push(server)
      return server
    },
    async token() {
      await insist('{ viewer { id } }')
      return token!
    },
  }
  return fleet
}

const INSIST_MS = 60_000
/** One that hangs is as good as down. */
const ANSWER_WITHIN_MS = 15_000

async function post(url: string, query: string, variables: object, token?: string): Promise<unknown> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const body = JSON.stringify({ query, variables })
  const signal = AbortSignal.timeout(ANSWER_WITHIN_MS)
  const answer = await fetch(`${url}/graphql`, { method: 'POST', headers, body, signal })
  const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}
