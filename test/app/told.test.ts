/** What a whole server tells its audit log beside changes: uses of keys, also those of its last minute, and what administrators look at. */
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startApp } from '../../src/app/app.ts'
import { loadConfig } from '../../src/config/config.ts'
import { tellOfOtherWorkers } from '../../src/app/other-workers.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { post } from '../server/test-server.ts'
import { testDatabase } from '../harness/test-database.ts'

const { env, database } = await testDatabase()

test(
  'uses of a key are told at the latest when the server stops, and an administrator who looks is told at once (B14, C7)',
  { timeout: 60_000 },
  async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'sluice-told-'))
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
    const config = loadConfig({ ...env, SLUICE_DATA_DIR: dataDir, PORT: '0', SLUICE_LOG_LEVEL: 'fatal' }, { mode: 'start' })
    const onFatal = (error: Error): void => expect.unreachable(error.message)
    const app = await startApp({ config, environment: {}, log: createLog('fatal'), serve: true, work: true, onFatal })
    let stopped = false
    onTestFinished(() => (stopped ? undefined : app.stop()))
    const url = `${app.url}/graphql`
    const rows = (type: string) =>
      database.query<{ actor_kind: string; ip: string; metadata: Record<string, number> }>(
        'select actor_kind, ip, metadata from sluice.audit_events where type = $1 order by id',
        [type],
      )

    const password = (await readFile(join(dataDir, 'admin-password'), 'utf8')).trim()
    const SIGN_IN =
      'mutation ($p: String!) { signIn(input: { email: "admin@sluice.local", password: $p }) { ... on SignInSuccess { accessToken } } }'
    const signedIn = await post(url, SIGN_IN, { variables: { p: password } })
    const token = (signedIn.data!['signIn'] as { accessToken: string }).accessToken
    const KEY = 'mutation { createApiKey(input: { name: "ci", scopes: [FLOWS_READ] }) { ... on CreateApiKeySuccess { secret } } }'
    const { secret } = (await post(url, KEY, { token })).data!['createApiKey'] as { secret: string }

    for (let at = 0; at < 3; at++)
      expect((await post(url, '{ flows { edges { node { name } } } }', { token: secret })).status).toBe(200)
    expect(await rows('admin.read')).toEqual([])
    await post(url, '{ auditEvents(first: 2) { edges { node { type } } } }', { token })
    expect(await rows('admin.read')).toMatchObject([{ actor_kind: 'USER', ip: '127.0.0.1', metadata: { auditEvents: 2 } }])

    await app.stop()
    stopped = true
    const uses = await rows('key.used')
    expect(uses[0]).toMatchObject({ actor_kind: 'API_KEY', ip: '127.0.0.1', metadata: { addresses: 1 } })
    expect(uses.reduce((sum, { metadata }) => sum + metadata['count']!, 0)).toBe(3)
  },
)

test('a worker without Redis says so when it finds others beside itself (E5)', async () => {
  const lines: string[] = []
  const log = createLog('info', { write: (line: string) => void lines.push(line) })
  const [own, other, gone] = [newUuid(), newUuid(), newUuid()]
  const lease = (id: string, seconds: number) =>
    database.query(`insert into sluice.workers (id, expires_at) values ($1, clock_timestamp() + $2 * interval '1 second')`, [
      id,
      seconds,
    ])
  await database.query('delete from sluice.workers')
  await lease(own, 60)
  await lease(gone, -1)
  await tellOfOtherWorkers(database, own, log)
  expect(lines).toEqual([])
  await lease(other, 60)
  await tellOfOtherWorkers(database, own, log)
  expect(lines.map((line) => (JSON.parse(line) as { count: number }).count)).toEqual([1])
})
