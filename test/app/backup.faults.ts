/** Backups while everything runs, restores of them, and commands that are killed on the way. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Client } from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { copyRunningCluster } from '../../src/database/copy-cluster.ts'
import { openDatabase } from '../../src/database/database.ts'
import { startEmbedded, visitEmbedded } from '../../src/database/embedded.ts'
import { createLog } from '../../src/log.ts'
import { breaches } from '../harness/invariants.ts'
import { MACHINE } from '../harness/machine-environment.ts'
import { dataDirectory, processesIn, signInTo, startServerProcess } from '../harness/server-process.ts'
import { startCopy } from '../harness/standby.ts'
import { testDatabase } from '../harness/test-database.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const LIMIT = { SLUICE_LIMIT_RUNNING_PER_INITIATOR: '100000' }
const log = createLog('silent')

function sluice(env: Record<string, string>, ...args: string[]): { status: number | null; stdout: string; stderr: string } {
  return spawnSync(process.execPath, [MAIN, ...args], { env: { ...MACHINE, ...env }, encoding: 'utf8' })
}

const CREATE = `mutation ($definition: JSON!) {
  createFlow(input: { definition: $definition }) { ... on CreateFlowSuccess { flow { id } } ... on Problem { code message } }
}`
const START = `mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) { ... on StartExecutionSuccess { replayed execution { id feedCursor } } ... on Problem { code message } }
}`
const SIGNAL = `mutation ($id: ID!) {
  signalExecution(input: { id: $id, signal: "go" }) { ... on SignalExecutionSuccess { execution { id } } ... on Problem { code message } }
}`
const READ = `query ($id: ID!) { execution(id: $id) { status output feedCursor } }`
const FOLLOW_ALL = `subscription ($after: String) { feed: executionsFeed(after: $after) {
  kind: __typename ... on FeedFrame { cursor } ... on FeedGap { reason } } }`
const FOLLOW_ONE = `subscription ($id: ID!, $after: String) { feed: executionFeed(id: $id, after: $after) {
  kind: __typename ... on FeedFrame { cursor } ... on FeedGap { reason } } }`

const patient = {
  name: 'patient',
  steps: {
    first: { type: 'handler', handler: 'echo', with: { n: '${{ input.n }}' } },
    ask: { type: 'signal', signals: ['go'], after: ['first'] },
    last: { type: 'handler', handler: 'echo', after: ['ask'], with: { n: '${{ steps.first.output.n }}' } },
  },
  output: { n: '${{ steps.last.output.n }}' },
}
const quick = { name: 'quick', steps: { only: { type: 'handler', handler: 'echo', with: {} } } }

type Run = Awaited<ReturnType<typeof signInTo>>

/** The first frame that a feed answers with. */
async function firstFrame(url: string, dataDir: string, query: string, variables: object) {
  const password = (await readFile(join(dataDir, 'admin-password'), 'utf8')).trim()
  const signIn = `mutation ($password: String!) { signIn(input: { email: "admin@sluice.local", password: $password }) { ... on SignInSuccess { accessToken } } }`
  const post = (body: object, headers: Record<string, string> = {}) =>
    fetch(`${url}/graphql`, {
      ...{ method: 'POST', body: JSON.stringify(body) },
      headers: { 'content-type': 'application/json', ...headers },
    })
  const answer = (await (await post({ query: signIn, variables: { password } })).json()) as {
    data: { signIn: { accessToken: string } }
  }
  const headers = { authorization: `Bearer ${answer.data.signIn.accessToken}`, accept: 'text/event-stream' }
  let text = ''
  for await (const chunk of (await post({ query, variables }, headers)).body!.pipeThrough(new TextDecoderStream())) {
    text += chunk
    const [, data] = /^data: ?(\{.*\})$/m.exec(text) ?? []
    if (data) return (JSON.parse(data) as { data: { feed: { kind: string; cursor: string; reason?: string } } }).data.feed
  }
  throw new Error(`no frame: ${text}`)
}

async function until<T>(what: () => Promise<T | undefined>): Promise<T> {
  for (const end = performance.now() + 30_000; ;) {
    const found = await what().catch(() => undefined)
    if (found !== undefined) return found
    if (performance.now() > end) throw new Error('it did not happen in time')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const isWaiting = (run: Run, id: string) => async () =>
  (await run(READ, { id })).execution.status === 'WAITING' ? true : undefined

test(
  'a backup under load is whole: what was there goes on, each step is recorded once, keys hold, feeds tell of the gap, the shorter log has to be owned up to (B17, C7, E2)',
  { timeout: 180_000 },
  async () => {
    const [dataDir, elsewhere, head] = [await dataDirectory(), await dataDirectory(), join(await dataDirectory(), 'head')]
    const [backup, restored] = [join(elsewhere, 'backup'), join(elsewhere, 'restored')]
    const server = await startServerProcess(dataDir, { ...LIMIT, SLUICE_AUDIT_HEAD_PATH: head })
    const run = await signInTo(server.url, dataDir)
    for (const definition of [patient, quick]) expect((await run(CREATE, { definition })).createFlow).toHaveProperty('flow')
    const start = async (with_: Run, n: number) => {
      const { execution, replayed } = (
        await with_(START, { input: { flow: 'patient', input: { n }, idempotencyKey: `key-${n}` } })
      ).startExecution
      return { id: execution.id as string, replayed: replayed as boolean }
    }
    const before = await Promise.all(Array.from({ length: 40 }, (_, n) => start(run, n)))
    for (const { id } of before) await until(isWaiting(run, id))

    let loading = true
    const load = (async () => {
      while (loading) await run(START, { input: { flow: 'quick', input: {} } })
    })()
    const making = spawn(process.execPath, [MAIN, 'backup', backup], {
      env: { PATH: process.env['PATH'], SLUICE_DATA_DIR: dataDir, SLUICE_AUDIT_HEAD_PATH: head },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    expect(await once(making, 'exit')).toEqual([0, null])
    loading = false
    await load
    expect((await stat(backup)).mode & 0o777).toBe(0o700)
    expect(await readdir(backup)).toEqual(expect.arrayContaining(['secrets-key', 'jwt-secret', 'admin-password', 'audit-head']))
    expect(await processesIn(elsewhere)).toEqual([])

    // what happens from here on is lost
    const lost = await start(run, 1_000)
    const { id: ahead } = before[0]!
    await run(SIGNAL, { id: ahead })
    const farther = await until(async () => {
      const { status, feedCursor } = (await run(READ, { id: ahead })).execution
      return status === 'SUCCEEDED' ? (feedCursor as string) : undefined
    })
    const { cursor } = await firstFrame(server.url, dataDir, FOLLOW_ALL, {})
    await server.end('SIGKILL')

    const env = { SLUICE_DATA_DIR: restored, SLUICE_AUDIT_HEAD_PATH: head }
    expect(sluice(env, 'restore', backup)).toMatchObject({ status: 1, stderr: expect.stringContaining('--shorter-log') })
    expect(await readdir(restored)).toEqual([])
    expect(sluice(env, 'restore', backup, '--shorter-log')).toMatchObject({
      status: 0,
      stdout: expect.stringMatching(/seals of the audit log are gone/),
    })
    expect(sluice(env, 'restore', backup)).toMatchObject({ status: 1, stderr: expect.stringContaining('is not empty') })

    const again = await startServerProcess(restored, { ...LIMIT, SLUICE_AUDIT_HEAD_PATH: head })
    const now = await signInTo(again.url, restored)
    expect(await firstFrame(again.url, restored, FOLLOW_ALL, { after: cursor })).toMatchObject({
      kind: 'FeedGap',
      reason: 'RESTORED',
    })
    expect(await firstFrame(again.url, restored, FOLLOW_ONE, { id: ahead, after: farther })).toMatchObject({
      kind: 'FeedGap',
      reason: 'RESTORED',
    })
    expect((await now(READ, { id: lost.id })).execution).toBe(null)
    for (const [n, { id }] of before.entries()) {
      expect(await start(now, n)).toEqual({ id, replayed: true })
      await now(SIGNAL, { id })
    }
    for (const [n, { id }] of before.entries()) {
      const ended = await until(async () => {
        const { execution } = await now(READ, { id })
        return execution.status === 'SUCCEEDED' ? (execution.output as unknown) : undefined
      })
      expect(ended).toEqual({ n })
    }
    // its place is passed again, by another history
    expect(await firstFrame(again.url, restored, FOLLOW_ONE, { id: ahead, after: farther })).toMatchObject({
      kind: 'FeedGap',
      reason: 'RESTORED',
    })

    const visited = await visitEmbedded({ dataDir: restored, log })
    const database = await openDatabase({ connection: visited.appUrl, entities: [], poolSize: 2, log })
    expect(await breaches(database)).toEqual([])
    await database.close()
    expect(await again.end('SIGTERM')).toBe(0)
    expect(sluice(env, 'audit', 'verify')).toMatchObject({ status: 0 })
  },
)

test('a backup that is killed leaves none, whenever it is; the next one sweeps up', { timeout: 180_000 }, async () => {
  const [dataDir, elsewhere] = [await dataDirectory(), await dataDirectory()]
  const server = await startServerProcess(dataDir)
  const target = join(elsewhere, 'backup')
  for (const afterMs of [500, 1_000, 1_500]) {
    const making = spawn(process.execPath, [MAIN, 'backup', target], {
      env: { PATH: process.env['PATH'], SLUICE_DATA_DIR: dataDir },
      stdio: 'ignore',
    })
    const exited = once(making, 'exit')
    await new Promise((resolve) => setTimeout(resolve, afterMs))
    making.kill('SIGKILL')
    await exited
    const names = await readdir(elsewhere)
    // done before it was killed
    if (names.includes('backup')) expect(await readdir(target)).toContain('backup.json')
    for (const name of names.filter((name) => name !== 'backup')) {
      // whole, and only not called so yet
      if ((await readdir(join(elsewhere, name))).includes('backup.json')) continue
      expect(sluice({ SLUICE_DATA_DIR: join(elsewhere, 'none') }, 'restore', join(elsewhere, name))).toMatchObject({
        status: 1,
        stderr: expect.stringContaining('no backup that is whole'),
      })
    }
    if (names.includes('backup')) break
  }
  expect(sluice({ SLUICE_DATA_DIR: dataDir }, 'backup', join(elsewhere, 'backup'))).toMatchObject({ status: 0 })
  expect((await readdir(elsewhere)).filter((name) => name.startsWith('backup'))).toEqual(['backup'])
  expect(await processesIn(elsewhere)).toEqual([])
  expect(await server.end('SIGTERM')).toBe(0)
})

test('a database that its own tools restored is made fit to run, not while it is used, nor where PostgreSQL counted less', async () => {
  const { database, ownerQuery, env, drop } = await testDatabase()
  onTestFinished(drop)
  const settings = {
    ...env,
    SLUICE_JWT_SECRET: 'Yx8Zr2kQ5n1Tq7'.repeat(3),
    SLUICE_DATA_DIR: await dataDirectory(),
  }
  const epoch = async () => (await ownerQuery<{ epoch: string }>('select sluice.database_epoch() as epoch'))[0]!.epoch
  const first = await epoch()
  expect(sluice(settings, 'restored')).toMatchObject({ status: 1, stderr: expect.stringContaining('stop them first') })
  await database.close()
  await ownerQuery(`insert into sluice.workers (id, expires_at) values (gen_random_uuid(), now() + interval '1 hour')`)
  expect(sluice(settings, 'restored')).toMatchObject({ status: 0, stdout: expect.stringContaining('It may run now.') })
  expect(await epoch()).not.toBe(first)
  expect(await ownerQuery('select from sluice.workers where expires_at > now()')).toEqual([])
  expect(await ownerQuery(`select from sluice.audit_events where type = 'database.restored'`)).toHaveLength(1)

  await ownerQuery(`insert into sluice.audit_events (id, at, type, severity, actor_kind, success, xid)
    values (gen_random_uuid(), now(), 'x', 'INFO', 'SYSTEM', true, '8589934592')`)
  expect(sluice(settings, 'restored')).toMatchObject({
    status: 1,
    stderr: expect.stringContaining('pg_resetwal --epoch=3'),
  })
})

test('a restore to a point in time has what was there then, and nothing of later; `restored` makes it fit to run (B17)', async () => {
  const [dataDir, own, elsewhere] = [await dataDirectory(), await dataDirectory(), await dataDirectory()]
  const [archive, restoredDir] = [join(elsewhere, 'archive'), join(elsewhere, 'restored')]
  // PostgreSQL may run as another user than we do
  await chmod(elsewhere, 0o755)
  await mkdir(archive)
  await chmod(archive, 0o777)
  const archiving = { archive_mode: 'on', archive_command: `cp %p ${archive}/%f` }
  const postgres = await startEmbedded({ dataDir, log, settings: archiving })
  const at = (urls: { appUrl: string; ownerUrl: string }) => ({
    ...{ DATABASE_URL: urls.appUrl, DATABASE_OWNER_URL: urls.ownerUrl, SLUICE_DATA_DIR: own },
  })
  const server = await startServerProcess(own, at(postgres))
  const run = await signInTo(server.url, own)
  expect((await run(CREATE, { definition: patient })).createFlow).toHaveProperty('flow')
  const start = async (n: number) => {
    const { id } = (await run(START, { input: { flow: 'patient', input: { n } } })).startExecution.execution
    await until(isWaiting(run, id))
    return id as string
  }

  const before = await start(1)
  await copyRunningCluster({ dataDir, superuserUrl: postgres.superuserUrl, to: restoredDir })
  const between = await start(2)
  const owner = new Client({ connectionString: postgres.ownerUrl })
  await owner.connect()
  const asked = 'select clock_timestamp()::text as now, (select count(*)::int from sluice.audit_seals) as seals'
  const [{ now, seals }] = (await owner.query<{ now: string; seals: number }>(asked)).rows as [{ now: string; seals: number }]
  await owner.end()
  const after = await start(3)
  // what is known outside the database is of later
  const head = async () => JSON.parse(await readFile(join(own, 'audit-head'), 'utf8')) as { position: number }
  await until(async () => ((await head()).position > seals ? true : undefined))
  await server.end('SIGKILL')
  await postgres.stop()

  const settings = { restore_command: `cp ${archive}/%f %p`, recovery_target_time: now, recovery_target_action: 'promote' }
  const copy = { to: restoredDir, superuserUrl: postgres.superuserUrl, signal: 'recovery.signal', settings } as const
  const recovered = await startCopy(copy)
  try {
    const inRecovery = async () =>
      (await recovered.superuser.query<{ still: boolean }>('select pg_is_in_recovery() as still')).rows[0]!
    await until(async () => ((await inRecovery()).still ? undefined : true))
    const env = at({ appUrl: recovered.at(postgres.appUrl), ownerUrl: recovered.at(postgres.ownerUrl) })
    expect(sluice(env, 'restored')).toMatchObject({ status: 1, stderr: expect.stringContaining('--shorter-log') })
    expect(sluice(env, 'restored', '--shorter-log')).toMatchObject({ status: 0 })
    const next = await startServerProcess(own, env)
    const ask = await signInTo(next.url, own)
    expect((await ask(READ, { id: after })).execution).toBe(null)
    for (const id of [before, between]) {
      await ask(SIGNAL, { id })
      await until(async () => ((await ask(READ, { id })).execution.status === 'SUCCEEDED' ? true : undefined))
    }
    expect(sluice(env, 'audit', 'verify')).toMatchObject({ status: 0 })
    expect(await next.end('SIGTERM')).toBe(0)
  } finally {
    await recovered.end()
  }
}, 180_000)
