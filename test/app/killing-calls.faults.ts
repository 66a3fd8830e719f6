/**
 * Servers that are killed in the middle of what is asked of them: calls that do something to many, webhooks, migrations of the schema,
 * and one start that is asked for by a hundred at once, of three servers. Whoever asks again gets it whole, once.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { Client } from 'pg'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { plan } from '../../migrations/list.ts'
import { openDatabase } from '../../src/database/database.ts'
import { checkMigrations } from '../../src/database/migrate.ts'
import { createLog } from '../../src/log.ts'
import { signatureOf } from '../../src/triggers/webhooks/signature.ts'
import { testFleet } from '../harness/fleet.ts'
import { allEnded, breaches } from '../harness/invariants.ts'
import { seededChance } from '../harness/seeded.ts'
import { dataDirectory, spawnSluice } from '../harness/server-process.ts'

const EXECUTIONS = Number(process.env['SLUICE_TEST_EXECUTIONS'] ?? 300)
const KILLS = 3
const STARTS = 100

const fleet = await testFleet({ SLUICE_LIMIT_FLOW_WRITES_PER_MINUTE: '1000' })
const chance = seededChance()

beforeAll(async () => {
  await Promise.all([fleet.startServer(), fleet.startServer(), fleet.startServer(), fleet.startWorker()])
}, 180_000)

const PATIENT = {
  name: 'patient',
  steps: { hear: { type: 'signal', signals: ['go'], timeout: 'PT1H' }, done: { type: 'transform', after: ['hear'], set: {} } },
}
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
  __typename ... on CreateFlowSuccess { flow { id version triggers { webhookPath } } } ... on ValidationProblem { issues { path message } } } }`
const START = `mutation ($input: StartExecutionInput!) { startExecution(input: $input) {
  ... on StartExecutionSuccess { replayed execution { id } } ... on Problem { code message } } }`

/** Asked until it says that it is done; whoever is asked is killed some time after the question, the first few times. */
async function despiteKills(
  document: string,
  variables: object,
  // what is answered is what the document asks for
  // oxlint-disable-next-line no-explicit-any
  isDone: (answer: any) => boolean,
): Promise<{ calls: number; lost: number }> {
  const replaced: Promise<unknown>[] = []
  let [calls, lost, kills] = [0, 0, 0]
  for (; calls < 1_000; calls++) {
    const server = fleet.servers[0]!
    const asked = fleet.askOf(server, document, variables)
    if (kills < KILLS) {
      kills++
      await Promise.race([pause(chance.between(5, 400)), asked.catch(() => undefined)])
      await fleet.kill(server)
      replaced.push(fleet.startServer())
    }
    try {
      if (isDone(await asked)) break
    } catch {
      lost++
      while (fleet.servers.length === 0) await pause(50)
    }
  }
  await Promise.all(replaced)
  return { calls: calls + 1, lost }
}

const count = async (of: string, params: unknown[] = []): Promise<number> => {
  const [row] = await fleet.database.query<{ count: number }>(`select count(*)::int as count from ${of}`, params)
  return row!.count
}

async function startMany(flow: string, howMany: number): Promise<void> {
  let number = 0
  await Promise.all(
    Array.from({ length: 20 }, async () => {
      while (number < howMany) {
        const input = { flow, input: {}, idempotencyKey: `${flow} ${number++}` }
        const { startExecution } = await fleet.insist(START, { input })
        if (!startExecution.execution) throw new Error(JSON.stringify(startExecution))
      }
    }),
  )
}

test('100 starts of one key at three servers at once: one execution, a hundred times the same answer (E1, E2)', async () => {
  await fleet.insist(CREATE, { definition: { name: 'single', steps: { a: { type: 'wait', duration: 'PT0.2S' } } } })
  const input = { flow: 'single', input: { n: 1 }, idempotencyKey: 'the same' }
  const asked = Array.from({ length: STARTS }, (_, at) => fleet.askOf(fleet.servers[at % 3]!, START, { input }))
  const answers = (await Promise.all(asked)).map(({ startExecution }) => startExecution)
  expect(new Set(answers.map(({ execution }) => execution?.id)).size).toBe(1)
  expect(answers.filter(({ replayed }) => replayed === false).length).toBe(1)
  expect(await count(`sluice.executions e join sluice.flows f on f.id = e.flow_id where f.name = 'single'`)).toBe(1)
}, 180_000)

test(`of ${EXECUTIONS} that are migrated, canceled and tried again by calls whose servers are killed, each is so once (A5, A10)`, async () => {
  const { createFlow } = await fleet.insist(CREATE, { definition: PATIENT })
  await startMany('patient', EXECUTIONS)
  const ours = `sluice.executions e join sluice.flows f on f.id = e.flow_id and f.name = 'patient'`
  await expect.poll(() => count(`${ours} where status = 'WAITING'`), { timeout: 60_000 }).toBe(EXECUTIONS)

  const more = { ...PATIENT, steps: { ...PATIENT.steps, more: { type: 'transform', after: ['done'], set: {} } } }
  await fleet.insist(
    `mutation ($input: PublishFlowVersionInput!) { publishFlowVersion(input: $input) { __typename ... on Problem { message } } }`,
    { input: { flowId: createFlow.flow.id, definition: more, expectedVersion: createFlow.flow.version } },
  )
  const migrated = await despiteKills(
    `mutation ($input: MigrateExecutionsInput!) { migrateExecutions(input: $input) {
      ... on MigrateExecutionsSuccess { more executions { possible obstacles { message } } } ... on Problem { code message } } }`,
    { input: { flow: createFlow.flow.id, from: 1, to: 2, first: 100 } },
    ({ migrateExecutions }) => migrateExecutions.executions?.length === 0,
  )
  expect(await count(`${ours} join sluice.flow_versions v on v.id = e.flow_version_id where v.number = 2`)).toBe(EXECUTIONS)
  expect(await count(`sluice.events where type = 'execution.migrated'`)).toBe(EXECUTIONS)

  const bulk = (
    verb: string,
  ) => `mutation ($input: ${verb}ExecutionsInput!) { it: ${verb.toLowerCase()}Executions(input: $input) {
    __typename ... on ${verb}ExecutionsSuccess { done remaining refused { code } } ... on Problem { code message } } }`
  const isDone = ({ it }: { it: { remaining?: number } }): boolean => it.remaining === 0
  const filter = { flow: 'patient' }
  const canceled = await despiteKills(bulk('Cancel'), { input: { filter, reason: 'enough', idempotencyKey: 'cancel' } }, isDone)
  await allEnded(fleet.database, 30_000)
  expect(await count(`${ours} where status = 'CANCELED'`)).toBe(EXECUTIONS)
  expect(await count(`sluice.events where type = 'execution.cancelRequested'`)).toBe(EXECUTIONS)
  expect(await count(`sluice.audit_events where type = 'execution.cancelRequested'`)).toBe(EXECUTIONS)

  const retried = await despiteKills(bulk('Retry'), { input: { filter, idempotencyKey: 'retry' } }, isDone)
  expect(await count(`${ours} where retry_of is not null`)).toBe(EXECUTIONS)
  expect(await count(`(select distinct retry_of from sluice.executions where retry_of is not null) as x`)).toBe(EXECUTIONS)
  console.log({ migrated, canceled, retried })
  await fleet.insist(bulk('Cancel'), { input: { filter, idempotencyKey: 'tidy' } })
  await allEnded(fleet.database, 30_000)
  expect(await breaches(fleet.database)).toEqual([])
}, 300_000)

const SECRET = 'whsec-6f1e4bd1-a-long-one'
const DELIVERIES = 200

test(`of ${DELIVERIES} webhooks, while servers and workers are killed, each starts its flow once (E2)`, async () => {
  await fleet.insist('mutation ($value: String!) { setSecret(input: { name: "hook", value: $value }) { __typename } }', {
    value: SECRET,
  })
  const definition = {
    name: 'hooked',
    steps: { a: { type: 'transform', set: { n: '${{ input.n }}' } } },
    triggers: [{ type: 'webhook', name: 'shop', secret: 'hook' }],
  }
  const { createFlow } = await fleet.insist(CREATE, { definition })
  const path = createFlow.flow.triggers[0].webhookPath as string
  let [sent, repeated] = [0, 0]
  /** As whoever sends webhooks does: again until it is accepted. */
  async function deliver(n: number): Promise<void> {
    const body = JSON.stringify({ n })
    for (let tries = 0; ; tries++) {
      const headers = { 'content-type': 'application/json', 'sluice-signature': signatureOf(body, SECRET, Date.now()) }
      const url = `${fleet.servers[0]?.url}${path}`
      const answer = await fetch(url, { method: 'POST', body, headers: { ...headers, 'webhook-id': `evt_${n}` } }).catch(() => {})
      if (answer?.status === 202) return
      if (answer && answer.status < 429) throw new Error(`${answer.status} ${await answer.text()}`)
      repeated++
      await pause(50)
    }
  }
  const sending = Promise.all(
    Array.from({ length: 8 }, async () => {
      while (sent < DELIVERIES) await deliver(sent++)
    }),
  )
  const replaced: Promise<unknown>[] = []
  for (let kill = 0; kill < KILLS; kill++) {
    await pause(chance.between(50, 400))
    await fleet.kill(fleet.servers[0]!)
    if (fleet.workers[0]) await fleet.kill(fleet.workers[0])
    replaced.push(fleet.startServer(), fleet.startWorker())
    await replaced.at(-1)
  }
  await Promise.all([sending, ...replaced])
  const ours = `sluice.executions e join sluice.flows f on f.id = e.flow_id and f.name = 'hooked'`
  await expect.poll(() => count(`${ours} where status = 'SUCCEEDED'`), { timeout: 60_000 }).toBe(DELIVERIES)
  expect(await count(ours)).toBe(DELIVERIES)
  // what was started by a server that was killed before it said so is known to be when another has tried it again
  const started = "sluice.webhook_deliveries where status = 'STARTED'"
  await expect.poll(() => count(started), { timeout: 60_000 }).toBe(DELIVERIES)
  expect(await count(ours)).toBe(DELIVERIES)
  const [inputs] = await fleet.database.query<{ count: number }>(
    `select count(distinct i.body ->> 'n')::int as count from sluice.execution_inputs i join ${ours} on e.id = i.execution_id`,
  )
  expect(inputs!.count).toBe(DELIVERIES)
  expect(await breaches(fleet.database)).toEqual([])
  console.log(`${repeated} deliveries were sent again`)
}, 200_000)

test('a migration of the schema that is killed in the middle leaves nothing half done; then two servers and a migration begin at once', async () => {
  const { superuserUrl, ownerUrl, appUrl } = fleet.postgres
  const server = new Client({ connectionString: superuserUrl })
  await server.connect()
  onTestFinished(() => server.end())
  await server.query('create database fresh owner sluice_owner')
  const at = (url: string): string => url.replace(/[^/]+$/, 'fresh')
  const env = { DATABASE_URL: at(appUrl), DATABASE_OWNER_URL: at(ownerUrl) }
  const migrate = async () => spawnSluice('migrate', await dataDirectory(), env)
  /** by one that migrates: the lock is held by then */
  const begun = `select 1 from pg_locks l join pg_database d on d.oid = l.database and d.datname = 'fresh' where l.locktype = 'advisory' and l.granted`
  let killed = 0
  for (let times = 0; times < 4; times++) {
    const migrating = await migrate()
    while ((await server.query(begun)).rowCount === 0 && migrating.process.exitCode === null) await pause(5)
    await pause(chance.between(0, 150))
    if (migrating.process.exitCode === null) killed++
    await migrating.end('SIGKILL')
    // all or nothing: the tables are there with the list of what was applied, or neither
    const fresh = new Client({ connectionString: at(superuserUrl) })
    await fresh.connect()
    const { rows } = await fresh.query<{ tables: number }>(
      `select count(*)::int as tables from pg_tables where schemaname = 'sluice' and tablename in ('executions', 'flows', 'audit_events')`,
    )
    await fresh.end()
    expect([0, 3]).toContain(rows[0]!.tables)
  }
  console.log(`${killed} migrations were killed`)
  const [migration, one, two] = await Promise.all([migrate(), fleet.startServer(env), fleet.startServer(env)])
  await migration.said(/applied|nothing to do/)
  const database = await openDatabase({ connection: at(appUrl), entities: [], poolSize: 1, log: createLog('silent') })
  onTestFinished(() => database.close())
  expect(await checkMigrations(database, plan)).toEqual({ pending: [], unknown: [] })
  for (const { url } of [one, two]) expect((await fetch(`${url}/health/ready`)).status).toBe(200)
}, 200_000)
