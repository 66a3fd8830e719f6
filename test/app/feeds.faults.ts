/**
 * Two servers on one PostgreSQL and one Redis, which is their bus, and readers that are cut off again and again while nodes are killed, Redis is away and
 * PostgreSQL restarts: each history that was put together is the one in the table, byte for byte.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Client } from 'pg'
import { WebSocket } from 'ws'
import { plan } from '../../migrations/list.ts'
import { startEmbedded } from '../../src/database/embedded.ts'
import type { EmbeddedPostgres } from '../../src/database/embedded.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { seededChance } from '../harness/seeded.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import type { ServerProcess } from '../harness/server-process.ts'

const READERS = 20
const CUTS = 50
/** of all executions of a flow, cut off as often */
const SCREENS = 3
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
  await migrateDatabase({ connection: postgres.ownerUrl, appRole: 'sluice_app', ...plan, release: 'test', log })
  settings = {
    ...{ DATABASE_URL: postgres.appUrl, DATABASE_OWNER_URL: postgres.ownerUrl, ...(redis && { REDIS_URL: redis.url }) },
    ...{ SLUICE_JWT_SECRET: randomBytes(48).toString('base64url'), SLUICE_ADMIN_PASSWORD: ADMIN.password },
  }
  for (const place of [0, 1]) servers[place] = await startServerProcess(directories[place]!, settings)
  const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }'
  token = (await ask(signIn, { input: ADMIN })).signIn.accessToken
}, 180_000)
afterAll(async () => {
  for (const server of servers) await server?.end('SIGKILL')
  await postgres.stop()
})

// what a document asks for is what its test reads
// oxlint-disable-next-line no-explicit-any
async function ask(query: string, variables: object = {}): Promise<any> {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${anyServer().url}/graphql`, {
    method: 'POST',
    headers,
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

interface Place {
  /** none: before the snapshot */
  cursor?: string
  /** how much of the history was known there */
  count: number
}

interface Followed<Entry> {
  query: string
  variables: object
  start?: string
  // what comes is what the document asks for
  // oxlint-disable-next-line no-explicit-any
  entriesOf(frame: any): readonly Entry[]
  /** where it stands in the history */
  check?(entry: Entry, index: number): void
  hasEnded(history: readonly Entry[], kind: string): boolean
}

/** Follows by whatever server is there, and is cut off at random moments; a socket that ends by itself is a cut too. */
class Reader<Entry> {
  history: Entry[] = []
  cuts = 0
  ended = false
  readonly #feed: Followed<Entry>
  readonly #places: Place[]

  constructor(feed: Followed<Entry>) {
    this.#feed = feed
    this.#places = [{ ...(feed.start && { cursor: feed.start }), count: 0 }]
  }

  /** Until it was cut as often as it should be, and has the end. */
  async run(): Promise<void> {
    while (this.cuts < CUTS || !this.ended) {
      // mostly where it was, at times further back: what is known there is forgotten
      const back = chance.next() < 0.2 ? chance.between(0, this.#places.length - 1) : this.#places.length - 1
      const place = this.#places[back]!
      this.#places.length = back + 1
      this.history.length = place.count
      this.ended = false
      const cutAfterMs = this.cuts < CUTS ? chance.between(20, 900) : undefined
      if (await this.#follow(place.cursor, cutAfterMs)) this.cuts += 1
    }
  }

  /** False: it never began. */
  #follow(after: string | undefined, cutAfterMs: number | undefined): Promise<boolean> {
    const { query, variables } = this.#feed
    const socket = new WebSocket(`${anyServer().url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
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
        const { type, payload } = JSON.parse((data as Buffer).toString())
        if (type === 'ping') send({ type: 'pong' })
        else if (type === 'connection_ack') {
          begun = true
          send({ id: '1', type: 'subscribe', payload: { query, variables: { ...variables, after } } })
          if (cutAfterMs !== undefined) timer = setTimeout(() => socket.terminate(), cutAfterMs)
        } else if (type === 'next') {
          this.#take(payload.data.feed)
          if (this.ended && cutAfterMs === undefined) socket.terminate()
        } else socket.terminate()
      })
    })
  }

  #take(frame: { kind: string; cursor: string }): void {
    expect(frame.kind).not.toBe('FeedGap')
    for (const entry of this.#feed.entriesOf(frame)) {
      this.#feed.check?.(entry, this.history.length)
      this.history.push(entry)
    }
    this.ended ||= this.#feed.hasEnded(this.history, frame.kind)
    if (/Delta$|Snapshot$/.test(frame.kind)) this.#places.push({ cursor: frame.cursor, count: this.history.length })
  }
}

const anyServer = (): ServerProcess => servers[chance.between(0, 1)] ?? servers.find((server) => server !== undefined)!

interface Told {
  seq: number
}

const HISTORY = `subscription ($id: ID!, $after: String) { feed: executionFeed(id: $id, after: $after) { kind: __typename
  ... on FeedFrame { cursor } ... on FeedDelta { events { seq type at step path attempt data } } ... on FeedGap { reason } } }`

const historyOf = (id: string): Followed<Told> => ({
  query: HISTORY,
  variables: { id },
  start: Buffer.from(`1:${decodeId('execution', id)}:0`).toString('base64url'),
  entriesOf: ({ events = [] }) => events,
  // neither a hole nor a double, at any moment
  check: ({ seq }, index) => expect(seq).toBe(index + 1),
  hasEnded: (_history, kind) => kind === 'FeedEnd',
})

interface State {
  id: string
  status: string
  version: number
}

const WALL = `subscription ($after: String) { feed: executionsFeed(filter: { flow: "quick" }, after: $after) { kind: __typename
  ... on FeedFrame { cursor } ... on FeedGap { reason }
  ... on ExecutionsSnapshot { executions { id status version } } ... on ExecutionsDelta { executions { id status version } } } }`

const wall = (last: Promise<string>): Followed<State> => {
  let lastId: string | undefined
  void last.then((id) => (lastId = id))
  return {
    query: WALL,
    variables: {},
    entriesOf: ({ executions = [] }) => executions,
    hasEnded: (history) => lastId !== undefined && latest(history).get(lastId)?.status === 'SUCCEEDED',
  }
}

/** What a screen shows that was told all this. */
const latest = (history: readonly State[]): Map<string, State> => new Map(history.map((state) => [state.id, state]))

async function createFlow(name: string, steps: object): Promise<void> {
  const { createFlow } = await ask(
    `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename
      ... on ValidationProblem { issues { path message } } } }`,
    { definition: { name, steps } },
  )
  if (createFlow.__typename !== 'CreateFlowSuccess') throw new Error(JSON.stringify(createFlow))
}

/** Asked again until it is known to have started, once. */
async function start(flow: string, idempotencyKey: string): Promise<string> {
  for (;;) {
    try {
      const { startExecution } = await ask(
        `mutation ($flow: String!, $idempotencyKey: String!) {
          startExecution(input: { flow: $flow, input: {}, waitMs: 0, idempotencyKey: $idempotencyKey }) {
            ... on StartExecutionSuccess { execution { id } } ... on Problem { code } } }`,
        { flow, idempotencyKey },
      )
      if (startExecution.execution) return startExecution.execution.id
    } catch {
      // it is down
    }
    await pause(100)
  }
}

/** Some events every moment, for as long as the servers are tormented. */
const CHAIN = Object.fromEntries(
  Array.from({ length: STEPS }, (_, at) => [
    `s${at}`,
    { type: 'wait', duration: STEP, ...(at > 0 && { after: [`s${at - 1}`] }) },
  ]),
)
const QUICK = { greet: { type: 'transform', set: { said: 'hello' } } }

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

test(`${READERS} readers, each cut off ${CUTS} times, put together what PostgreSQL has, through killed nodes, a Redis that was away and a PostgreSQL that restarted (B11, E5)`, async () => {
  await createFlow('chain', CHAIN)
  await createFlow('quick', QUICK)
  const id = await start('chain', 'chain')
  const last = Promise.withResolvers<string>()
  const screens = Array.from({ length: SCREENS }, () => new Reader(wall(last.promise)))
  const readers = Array.from({ length: READERS }, () => new Reader(historyOf(id)))
  const reading = Promise.all([...readers, ...screens].map((reader) => reader.run()))
  let tormented = false
  const starting = (async () => {
    const ids: string[] = []
    while (!tormented) {
      ids.push(await start('quick', `quick ${ids.length}`))
      await pause(150)
    }
    return ids
  })()
  await pause(1_000)
  await restart(0)
  await redis?.stop()
  await pause(REDIS_AWAY_MS)
  await redis?.start()
  await restartPostgres()
  if (redis) expect(servers[1]!.output().split('the bus lost Redis').length - 1).toBe(1)
  await restart(1)
  tormented = true
  const started = await starting
  last.resolve(started.at(-1)!)
  await reading

  const client = new Client({ connectionString: postgres.ownerUrl })
  await client.connect()
  const { rows } = await client.query<Told & { at: Date }>(
    'select seq, type, at, step, path, attempt, data from sluice.events where execution_id = $1 order by seq',
    [decodeId('execution', id)],
  )
  const { rows: states } = await client.query<State>(
    'select id, status, version from sluice.executions where id = any($1) order by id',
    [started.map((one) => decodeId('execution', one))],
  )
  await client.end()
  expect(rows.length).toBeGreaterThan(STEPS)
  const truth = JSON.stringify(rows)
  for (const { history, cuts, ended } of readers) {
    expect(cuts).toBeGreaterThanOrEqual(CUTS)
    expect(ended).toBe(true)
    expect(JSON.stringify(history)).toBe(truth)
  }
  expect(states).toHaveLength(started.length)
  const ends = states.map((state) => ({ ...state, id: encodeId('execution', state.id) }))
  for (const { history } of screens) {
    const shown = latest(history)
    expect(ends.map(({ id: one }) => shown.get(one))).toEqual(ends)
  }
}, 300_000)
