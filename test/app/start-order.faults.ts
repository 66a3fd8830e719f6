/** What processes of a fleet need may come in any order, and go: each says what it waits for, and goes on by itself. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { startEmbedded } from '../../src/database/embedded.ts'
import type { EmbeddedPostgres } from '../../src/database/embedded.ts'
import { createLog } from '../../src/log.ts'
import { databaseGate } from '../harness/database-gate.ts'
import { freePort } from '../harness/free-port.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { dataDirectory, signInTo, spawnSluice } from '../harness/server-process.ts'
import type { SluiceProcess } from '../harness/server-process.ts'

const redis = hasRedis ? await testRedis() : undefined
const gate = await databaseGate()
const postgresDir = await dataDirectory()
const directory = await dataDirectory()
let postgres: EmbeddedPostgres | undefined

async function startPostgres(): Promise<void> {
  const settings = { fsync: 'off', full_page_writes: 'off' }
  postgres = await startEmbedded({ dataDir: postgresDir, log: createLog('silent'), settings })
  await gate.open(postgres.appUrl)
}
async function stopPostgres(): Promise<void> {
  await gate.shut()
  await postgres?.stop()
  postgres = undefined
}
afterAll(stopPostgres)

/** the application's role, which may not migrate */
let asApp: Record<string, string>
let asOwner: Record<string, string>

beforeAll(async () => {
  await startPostgres()
  const secret = (): string => randomBytes(48).toString('base64url')
  asApp = {
    ...{ DATABASE_URL: gate.through(postgres!.appUrl), ...(redis && { REDIS_URL: redis.url }), SLUICE_LOG_LEVEL: 'info' },
    ...{ SLUICE_JWT_SECRET: secret(), SLUICE_SECRETS_KEY: secret() },
  }
  asOwner = { ...asApp, DATABASE_OWNER_URL: gate.through(postgres!.ownerUrl) }
  await stopPostgres()
  await redis?.stop()
}, 180_000)

interface Watched extends SluiceProcess {
  readonly url: string
  readonly port: number
  live(): Promise<number>
  /** what `/health/ready` answers, its status first */
  ready(port?: number): Promise<[number, { waitingFor?: string[]; without?: string[] }]>
}

async function spawn(command: 'serve' | 'work' | 'start', settings: Record<string, string>): Promise<Watched> {
  const [port, metricsPort] = [await freePort(), await freePort()]
  const spawned = spawnSluice(command, directory, {
    ...settings,
    PORT: String(port),
    SLUICE_METRICS_PORT: String(metricsPort),
  })
  const ask = (path: string, at = metricsPort) => fetch(`http://127.0.0.1:${at}/health/${path}`)
  onTestFinished(() => void spawned.process.kill('SIGKILL'))
  await until(() => ask('live').then(({ ok }) => ok))
  return {
    ...{ ...spawned, port, url: `http://127.0.0.1:${port}` },
    live: async () => (await ask('live')).status,
    async ready(at) {
      const answer = await ask('ready', at)
      return [answer.status, (await answer.json()) as object]
    },
  }
}

async function until(what: () => Promise<boolean>, ms = 90_000): Promise<void> {
  const end = performance.now() + ms
  while (!(await what().catch(() => false))) {
    if (performance.now() > end) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

async function waitsFor(process: Watched, pattern: RegExp, port?: number): Promise<void> {
  let told: unknown
  await until(async () => {
    told = (await process.ready(port))[1]
    return pattern.test(((told as { waitingFor?: string[] }).waitingFor ?? []).join(', '))
  }).catch((error: Error) => {
    throw new Error(`${error.message}, but ${JSON.stringify(told)}\n${process.output()}`)
  })
}
const isReady = (process: Watched, port?: number): Promise<void> => until(async () => (await process.ready(port))[0] === 200)
const timesSaid = (process: Watched, what: string): number => process.output().split(what).length - 1

const ASK = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"query":"{ viewer { id } }"}' }

test('workers and the API wait for PostgreSQL, for migrations and without Redis, in any order, and lose and find them again; a newer release that does not serve them ends them, and a role without its rights says which (E5)', async () => {
  const worker = await spawn('work', asApp)
  await waitsFor(worker, /^database$/)
  expect(await worker.live()).toBe(200)
  const api = await spawn('serve', asOwner)
  await waitsFor(api, /^database$/, api.port)
  expect((await fetch(`${api.url}/graphql`, ASK)).status).toBe(503)
  await until(async () => timesSaid(worker, 'waiting for the database') > 0)
  await api.end('SIGKILL')

  // The worker may not migrate: it waits for whoever may.
  await startPostgres()
  await waitsFor(worker, /^migration 000-\S+, migration 001-\S+, migration 002-\S+, \d+ more$/)
  const second = await spawn('serve', asOwner)
  for (const process of [worker, second]) await isReady(process)
  expect(timesSaid(worker, 'waiting for the database')).toBe(1)
  expect((await fetch(`${second.url}/graphql`, ASK)).status).toBe(200)

  if (redis) {
    expect(await second.ready()).toEqual([200, { status: 'ok', without: ['Redis'] }])
    await redis.start()
    for (const process of [worker, second]) await until(async () => Object.keys((await process.ready())[1]).join() === 'status')
    expect(await run(second)).toBe('SUCCEEDED')
    await redis.stop()
    await until(async () => (await worker.ready())[1].without?.[0] === 'Redis')
  }
  expect(await run(second)).toBe('SUCCEEDED')

  await stopPostgres()
  await waitsFor(second, /^database$/, second.port)
  await waitsFor(worker, /^database, lease$/)
  await startPostgres()
  for (const process of [worker, second]) await isReady(process)
  expect(await run(second)).toBe('SUCCEEDED')

  await outlive([worker, second])
}, 180_000)

/** Those that run, and some that start: a newer release still serves them, then it does not. They end. */
async function outlive(processes: readonly Watched[]): Promise<void> {
  const owner = new Client({ connectionString: postgres!.ownerUrl })
  await owner.connect()
  const { rows } = await owner.query('select level, least, release from sluice.schema_level')
  const sums = await owner.query('select name, sha256 from sluice.repeatable_migrations')
  // for the tests after this one
  onTestFinished(async () => {
    await owner.query('update sluice.schema_level set level = $1, least = $2, release = $3', Object.values(rows[0] as object))
    for (const { name, sha256 } of sums.rows as { name: string; sha256: string }[])
      await owner.query('update sluice.repeatable_migrations set sha256 = $2 where name = $1', [name, sha256])
    await owner.end()
  })
  const newer = async (least: number): Promise<void> => {
    await owner.query(`update sluice.schema_level set level = 99, least = $1, release = '9.0.0'`, [least])
    await owner.query(`update sluice.repeatable_migrations set sha256 = 'newer' where name = 'engine/commit.sql'`)
  }
  await newer(1)
  const again = await spawn('start', asOwner)
  for (const process of [...processes, again]) await isReady(process)
  expect(await run(again)).toBe('SUCCEEDED')
  expect((await owner.query(`select from sluice.repeatable_migrations where sha256 = 'newer'`)).rowCount).toBe(1)

  await newer(99)
  const told = /a newer release: 9\.0\.0 has brought the database to level 99.* Start 9\.0\.0, or restore/
  for (const process of [...processes, again]) {
    expect(await process.ended()).toBe(1)
    expect(process.output()).toMatch(told)
  }
  const waiting = await spawn('work', asOwner)
  await waitsFor(waiting, told)
  expect(await waiting.live()).toBe(200)
  expect(await waiting.end('SIGTERM')).toBe(0)

  const role = new URL(postgres!.appUrl).username
  await owner.query(`revoke usage on schema sluice from ${role}`)
  const powerless = await spawn('work', asApp)
  const lacking = /rights of the role \w+, which may not use the schema sluice\. .*run `sluice migrate`/
  await waitsFor(powerless, lacking)
  await until(async () => lacking.test(powerless.output()))
  expect(await powerless.end('SIGTERM')).toBe(0)
  await owner.query(`grant usage on schema sluice to ${role}`)
}

/** Starts an execution and waits for its end. */
async function run(api: Watched): Promise<string> {
  const ask = await signInTo(api.url, directory)
  const { createFlow } = await ask(
    `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { ... on CreateFlowSuccess { flow { id } } ... on Problem { message } } }`,
    { definition: { name: `brief_${randomBytes(4).toString('hex')}`, steps: { one: { type: 'handler', handler: 'echo' } } } },
  )
  const { startExecution } = await ask(
    `mutation ($flow: String!) { startExecution(input: { flow: $flow, input: {}, waitMs: 20000 }) {
      ... on StartExecutionSuccess { execution { status } } ... on Problem { message } } }`,
    { flow: createFlow.flow.id },
  )
  return startExecution.execution.status
}

test('a process that is asked to end while it starts ends at once; a second signal ends it whatever it does', async () => {
  await stopPostgres()
  const waiting = await spawn('work', asApp)
  await waitsFor(waiting, /^database$/)
  expect(await waiting.end('SIGTERM')).toBe(0)
  // its terminal was closed
  const inTerminal = await spawn('work', asApp)
  await waitsFor(inTerminal, /^database$/)
  expect(await inTerminal.end('SIGHUP')).toBe(0)

  await startPostgres()
  const api = await spawn('serve', { ...asOwner, SLUICE_SHUTDOWN_DELAY_MS: '60000' })
  await isReady(api)
  api.process.kill('SIGTERM')
  await waitsFor(api, /^draining$/, api.port)
  await waitsFor(api, /^draining$/)
  // Load balancers have not noticed yet: whom they send here is answered, and asked to come no more.
  const answer = await fetch(`${api.url}/graphql`, ASK)
  expect([answer.status, answer.headers.get('connection')]).toEqual([200, 'close'])
  expect(await api.end('SIGTERM')).toBe(143)
}, 180_000)
