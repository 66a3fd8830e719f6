/**
 * The smallest fleet, one API and two workers as processes of their own, under a load of everything that executions do: it works on
 * both; then a worker and the API are asked to end, as a roll-out does.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { createClient } from 'graphql-ws'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { resuming } from '../../clients/feed/resuming.ts'
import { decodeId } from '../../src/ids.ts'
import { balancerOf } from '../harness/balancer.ts'
import { effectsFile } from '../harness/effects.ts'
import { testFleet } from '../harness/fleet.ts'
import type { WorkerProcess } from '../harness/fleet.ts'
import { freePort } from '../harness/free-port.ts'
import { mixedLoad } from '../harness/mixed-load.ts'

const AT_A_TIME = 40
/** Whatever waits for one of these to expire is not there at the end of the test. */
const LONG_LEASE = { SLUICE_LEASE_MS: '600000' }

/**
 * Of another release, that is how a release is tried before it is made: `SLUICE_TEST_OLDER=/path/to/a/checkout npm run test:faults
 * test/app/roll-out`. CI has none.
 */
const older = process.env['SLUICE_TEST_OLDER']

const effects = effectsFile()
const fleet = await testFleet()
const shared = older === undefined ? undefined : await testFleet({}, { migrated: false })

test('one API and two workers: both work; one and the API are asked to end under load: nothing is lost, recorded twice or waits for a lease, and who follows comes back by itself (E5, D9)', async () => {
  const server = { PORT: String(await freePort()) }
  const ports = [String(await freePort()), String(await freePort())]
  await Promise.all([
    fleet.startServer(server),
    ...ports.map((port) => fleet.startWorker({ ...LONG_LEASE, SLUICE_METRICS_PORT: port })),
  ])
  const load = await mixedLoad(fleet, effects)
  await load.start(AT_A_TIME)
  // one of them may have taken all that there was
  for (const port of ports)
    await expect
      .poll(
        async () => {
          await load.start(5)
          return ended(port)
        },
        { timeout: 60_000, interval: 200 },
      )
      .toBeGreaterThan(0)

  let isRolledOut = false
  const meanwhile = (async () => {
    while (!isRolledOut) {
      await load.start(10)
      await pause(200)
    }
  })()
  await pause(1_000)
  const handedBackMs = await drain(fleet.workers[0]!)
  const [old] = fleet.servers.splice(0)
  expect(await old!.end('SIGTERM')).toBe(0)
  await fleet.startServer(server)
  isRolledOut = true
  await meanwhile
  await load.whole(60_000)
  // who is asked to end gives away nothing that has begun: no attempt ran twice
  const ran = effects.lines().map((line) => line.split(' ').slice(0, 2).join(' '))
  expect(ran.filter((attempt, at) => ran.indexOf(attempt) !== at)).toEqual([])
  console.log(`handed back within ${handedBackMs} ms, ${load.started.size} executions`)
}, 300_000)

/** Until it has ended by itself; how long it held something, ms. */
async function drain(worker: WorkerProcess): Promise<number> {
  fleet.workers.splice(fleet.workers.indexOf(worker), 1)
  const [, workerId] = /^ +worker +(\S+)$/m.exec(worker.output())!
  const began = performance.now()
  const ending = worker.end('SIGTERM')
  let heldMs = 0
  const held = 'select count(*)::int as count from sluice.executions where owner = $1'
  while ((await fleet.database.query<{ count: number }>(held, [workerId]))[0]!.count > 0) {
    await pause(20)
    heldMs = Math.round(performance.now() - began)
  }
  expect(await ending).toBe(0)
  return heldMs
}

/** Executions that this worker ended. */
async function ended(port: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
  return [...text.matchAll(/^sluice_executions_total\S* (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0)
}

/** Some events every moment; it ends when it is cancelled. */
const LONG = Array.from({ length: 60 }, (_, at) => [
  `s${at}`,
  { type: 'wait', duration: at < 59 ? 'PT0.2S' : 'PT600S', ...(at > 0 && { after: [`s${at - 1}`] }) },
])
const HISTORY = `subscription ($id: ID!, $after: String) { executionFeed(id: $id, after: $after) { __typename
  ... on FeedFrame { cursor } ... on FeedClosed { reason } ... on FeedDelta { events { seq type } } } }`

/** Each with what becomes of PostgreSQL meanwhile. */
const RESTARTS = [
  ['SIGTERM', 'stays'],
  ['SIGTERM', 'is killed while the next one starts'],
  ['SIGKILL', 'is killed before'],
] as const

test('an unmodified client of graphql-ws behind a load balancer misses nothing, however often the API behind it is replaced (B11, E5)', async () => {
  const port = await freePort()
  const server = { PORT: String(port) }
  const url = await balancerOf(port)
  const [running] = fleet.servers.splice(0)
  await running?.end('SIGTERM')
  await fleet.startServer(server)
  if (fleet.workers.length === 0) await fleet.startWorker()
  await fleet.ask('mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename } }', {
    definition: { name: 'long', steps: Object.fromEntries(LONG) },
  })
  const { startExecution } = await fleet.ask(
    'mutation { startExecution(input: { flow: "long", input: {} }) { ... on StartExecutionSuccess { execution { id } } } }',
  )
  const { id } = startExecution.execution
  const token = await fleet.token()
  const followers = Array.from({ length: 4 }, () => followHistory(url, token, id))

  const comeBack = (least: number) =>
    expect.poll(() => followers.filter(({ came }) => came() < least), { timeout: 20_000 }).toEqual([])
  for (const [at, [signal, postgres]] of RESTARTS.entries()) {
    await comeBack(at + 1)
    if (postgres === 'is killed before') process.kill(fleet.postgres.pid, 'SIGKILL')
    const [old] = fleet.servers.splice(0)
    await old!.end(signal)
    if (postgres === 'is killed while the next one starts') process.kill(fleet.postgres.pid, 'SIGKILL')
    await fleet.startServer(server)
  }

  await comeBack(RESTARTS.length + 1)
  await fleet.insist('mutation ($id: ID!) { cancelExecution(input: { id: $id }) { __typename } }', { id })
  for (const { over } of followers) expect(await over).toBe('complete')
  const stored = await fleet.database.query<{ seq: number }>(
    'select seq from sluice.events where execution_id = $1 order by seq',
    [decodeId('execution', id)],
  )
  for (const { seqs } of followers) expect(seqs).toEqual(stored.map(({ seq }) => seq))
}, 240_000)

/** As in docs/clients.md, and what graphql-ws itself takes for final stays final. */
function followHistory(url: string, token: string, id: string) {
  const seqs: number[] = []
  const client = resuming(
    createClient({
      url: `${url.replace('http', 'ws')}/graphql`,
      webSocketImpl: WebSocket,
      connectionParams: { authorization: `Bearer ${token}` },
      retryAttempts: Number.POSITIVE_INFINITY,
      retryWait: () => pause(50 + Math.random() * 200),
    }),
  )
  onTestFinished(() => client.dispose())
  let came = 0
  client.on('connected', () => (came += 1))
  const over = new Promise((resolve) => {
    client.subscribe<{ executionFeed: { __typename: string; events?: { seq: number }[] } }>(
      { query: HISTORY, variables: { id, after: Buffer.from(`1:${decodeId('execution', id)}:0`).toString('base64url') } },
      {
        next: ({ data }) => seqs.push(...(data?.executionFeed.events ?? []).map(({ seq }) => seq)),
        // of what the socket failed by there is only the text
        error: (error) =>
          resolve(error instanceof Error || Array.isArray(error) ? error : (error as { message?: string }).message),
        complete: () => resolve('complete'),
      },
    )
  })
  return { seqs, over, came: () => came }
}

// a test that is skipped counts as failed where nothing may be skipped
// oxlint-disable-next-line no-conditional-tests
if (older !== undefined)
  test('a newer release takes the place of an older one under load, and the older one of the newer: nothing is lost or recorded twice', async () => {
    const old = await shared!.startServer({}, older)
    await shared!.startWorker({}, older)
    const load = await mixedLoad(shared!, effects)
    await load.start(AT_A_TIME)

    // the newer one migrates while the older one works; then both do
    await shared!.startServer()
    await shared!.startWorker()
    const both = async (): Promise<void> => {
      for (const until = performance.now() + 5_000; performance.now() < until; await pause(200)) await load.start(5)
    }
    await both()
    expect(await fetch(`${old.url}/health/ready`).then((answer) => answer.json())).toEqual({ status: 'ok' })

    // and back: it starts at what the newer one made
    for (const worker of shared!.workers.slice()) await shared!.kill(worker)
    await shared!.startWorker({}, older)
    await both()
    for (const server of shared!.servers.slice(1)) await shared!.kill(server)
    await load.whole(120_000)
  }, 300_000)
