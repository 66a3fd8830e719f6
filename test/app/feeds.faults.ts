/**
 * Two servers on one PostgreSQL and one Redis, and readers that are cut off again and again while nodes are killed, Redis is away and
 * PostgreSQL restarts: each history that was put together is the one in the table, byte for byte.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Client } from 'pg'
import { WebSocket } from 'ws'
import { migrations, repeatables } from '../../migrations/list.ts'
import { startEmbedded } from '../../src/database/embedded.ts'
import type { EmbeddedPostgres } from '../../src/database/embedded.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { decodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { seededChance } from '../harness/seeded.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import type { ServerProcess } from '../harness/server-process.ts'

const READERS = 20
const CUTS = 50
/** Long enough for all that is done to the servers. */
const STEPS = 220
const STEP = 'PT0.1S'
const REDIS_AWAY_MS = 5_000
const ADMIN = { email: 'admin@sluice.local', password: 'Correct-horse-1' }

const chance = seededChance()
const log = createLog('silent')
const redis = hasRedis ? await testRedis() : undefined
const postgresDir = await dataDirectory()
const directories = [await dataDirectory(), await dataDirectory()]
let postgres: EmbeddedPostgres
const servers: (ServerProcess | undefined)[] = []
let settings: Record<string, string>
let token: string

beforeAll(async () => {
  const noDisk = { fsync: 'off', full_page_writes: 'off' }
  postgres = await startEmbedded({ dataDir: postgresDir, log, settings: noDisk })
  await migrateDatabase({ connection: postgres.ownerUrl, appRole: 'sluice_app', migrations, repeatables, log })
  settings = {
    ...{ DATABASE_URL: postgres.appUrl, DATABASE_OWNER_URL: postgres.ownerUrl, ...(redis && { REDIS_URL: redis.url }) },
    ...{ SLUICE_JWT_SECRET: randomBytes(48).toString('base64url'), SLUICE_ADMIN_PASSWORD: ADMIN.password },
  }
  for (const place of [0, 1]) servers[place] = await startServerProcess(directories[place]!, settings)
  const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }'
  token = (await ask(signIn, { input: ADMIN })).signIn.accessToken
}, 120_000)
afterAll(async () => {
  for (const server of servers) await server?.end('SIGKILL')
  await postgres.stop()
})

// what a document asks for is what its test reads
// oxlint-disable-next-line no-explicit-any
async function ask(query: string, variables: object = {}): Promise<any> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${servers[0]!.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

interface Told {
  seq: number
}
interface Place {
  cursor: string
  /** how much of the history was known there */
  count: number
}

const FEED = `subscription ($id: ID!, $after: String) { executionFeed(id: $id, after: $after) { kind: __typename
  ... on FeedFrame { cursor } ... on FeedDelta { events { seq type at step path attempt data } } ... on FeedGap { reason } } }`

/** Follows one execution by whatever server is there, and is cut off at random moments; a socket that ends by itself is a cut too. */
class Reader {
  history: Told[] = []
  cuts = 0
  ended = 0
  readonly #id: string
  readonly #places: Place[] = []

  constructor(id: string, start: string) {
    this.#id = id
    this.#places.push({ cursor: start, count: 0 })
  }

  /** Until it was cut as often as it should be, and has the end. */
  async run(): Promise<void> {
    while (this.cuts < CUTS || this.ended === 0) {
      // mostly where it was, at times further back: what is known there is forgotten
      const back = chance.next() < 0.2 ? chance.between(0, this.#places.length - 1) : this.#places.length - 1
      const place = this.#places[back]!
      this.#places.length = back + 1
      this.history.length = place.count
      this.ended = 0
      const cutAfterMs = this.cuts < CUTS ? chance.between(20, 900) : undefined
      if (await this.#follow(place.cursor, cutAfterMs)) this.cuts += 1
    }
  }

  /** False: it never began. */
  #follow(after: string, cutAfterMs: number | undefined): Promise<boolean> {
    const { url } = servers[chance.between(0, 1)] ?? servers.find((server) => server !== undefined)!
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
    const send = (message: object): void => socket.send(JSON.stringify(message))
    let begun = false
    let timer: NodeJS.Timeout | undefined
    return new Promise((resolve) => {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        clearTimeout(timer)
        setTimeout(resolve, begun ? 0 : 50, begun)
      })
      socket.on('open', () => send({ type: 'connection_init', payload: { authorization: `Bearer ${token}` } }))
      socket.on('message', (data) => {
        const { type, payload } = JSON.parse(String(data))
        if (type === 'ping') send({ type: 'pong' })
        else if (type === 'connection_ack') {
          begun = true
          send({ id: '1', type: 'subscribe', payload: { query: FEED, variables: { id: this.#id, after } } })
          if (cutAfterMs !== undefined) timer = setTimeout(() => socket.terminate(), cutAfterMs)
        } else if (type === 'next') this.#take(payload.data.executionFeed)
        else socket.terminate()
      })
    })
  }

  #take({ kind, cursor, events = [] }: { kind: string; cursor: string; events?: Told[] }): void {
    expect(['FeedDelta', 'FeedHeartbeat', 'FeedEnd', 'FeedClosed']).toContain(kind)
    for (const event of events) {
      // neither a hole nor a double, at any moment
      expect(event.seq).toBe(this.history.length + 1)
      this.history.push(event)
    }
    if (kind === 'FeedEnd') this.ended += 1
    if (kind === 'FeedDelta') this.#places.push({ cursor, count: this.history.length })
  }
}

/** A chain of steps that wait a little: some events every moment, for as long as the servers are tormented. */
async function startChain(): Promise<{ id: string; feedCursor: string }> {
  const steps = Object.fromEntries(
    Array.from({ length: STEPS }, (_, at) => [`s${at}`, { type: 'wait', duration: STEP, ...(at > 0 && { after: [`s${at - 1}`] }) }]),
  )
  const { createFlow } = await ask(
    `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename ... on CreateFlowSuccess { flow { id } }
      ... on ValidationProblem { issues { path message } } } }`,
    { definition: { name: 'chain', steps } },
  )
  if (!createFlow.flow) throw new Error(JSON.stringify(createFlow))
  const { startExecution } = await ask(
    `mutation ($flow: String!) { startExecution(input: { flow: $flow, input: {}, waitMs: 0 }) {
      ... on StartExecutionSuccess { execution { id feedCursor lastSeq } } ... on Problem { message } } }`,
    { flow: createFlow.flow.id },
  )
  return startExecution.execution
}

/** Killed, and started again at another port. */
async function restart(place: number): Promise<void> {
  await servers[place]!.end('SIGKILL')
  servers[place] = undefined
  servers[place] = await startServerProcess(directories[place]!, settings)
}

/** Killed; whoever watches over it starts it again. */
async function restartPostgres(): Promise<void> {
  const { pid } = postgres
  process.kill(pid, 'SIGKILL')
  while (postgres.pid === pid) await pause(50)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test(
  `${READERS} readers, each cut off ${CUTS} times, put together what PostgreSQL has, through killed nodes, a Redis that was away and a PostgreSQL that restarted (B11)`,
  async () => {
    const { id } = await startChain()
    const uuid = decodeId('execution', id)!
    const start = Buffer.from(`1:${uuid}:0`).toString('base64url')
    const readers = Array.from({ length: READERS }, () => new Reader(id, start))
    const reading = Promise.all(readers.map((reader) => reader.run()))
    await pause(1_000)
    await restart(0)
    await redis?.stop()
    await pause(REDIS_AWAY_MS)
    await redis?.start()
    await restartPostgres()
    await restart(1)
    await reading

    const client = new Client({ connectionString: postgres.ownerUrl })
    await client.connect()
    const { rows } = await client.query<Told & { at: Date }>(
      'select seq, type, at, step, path, attempt, data from sluice.events where execution_id = $1 order by seq',
      [uuid],
    )
    await client.end()
    expect(rows.length).toBeGreaterThan(STEPS)
    const truth = JSON.stringify(rows)
    for (const { history, cuts, ended } of readers) {
      expect(cuts).toBeGreaterThanOrEqual(CUTS)
      expect(ended).toBe(1)
      expect(JSON.stringify(history)).toBe(truth)
    }
  },
  300_000,
)
