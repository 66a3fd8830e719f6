/** A server on a free port with a small schema of its own, and clients for both doors. */
import { createClient } from 'graphql-ws'
import type { Client } from 'graphql-ws'
import {
  GraphQLBoolean,
  GraphQLEnumType,
  GraphQLInputObjectType,
  GraphQLInt,
  GraphQLList,
  GraphQLNonNull,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
} from 'graphql'
import type { ExecutionResult } from 'graphql'
import { Writable } from 'node:stream'
import { Registry } from 'prom-client'
import { onTestFinished } from 'vitest'
import { WebSocket } from 'ws'
import { Fault } from '../../src/errors.ts'
import type { FaultCode } from '../../src/errors.ts'
import type { Authentication, Role, UserPrincipal } from '../../src/identity/principal.ts'
import { SCOPES } from '../../src/identity/principal.ts'
import { createLog } from '../../src/log.ts'
import type { Context } from '../../src/api/context.ts'
import { FeedSource } from '../../src/api/feed.ts'
import type { Call } from '../../src/operations/call.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { openApiPort } from '../../src/server/api-port.ts'
import type { Readiness } from '../../src/server/health.ts'
import { startServer } from '../../src/server/server.ts'
import type { ServerOptions } from '../../src/server/server.ts'

export const SECRET = 'sk-live-do-not-show'

/** Events that a test sends; `return` is seen. */
export class Events implements AsyncIterableIterator<unknown> {
  #waiting: ((step: IteratorResult<unknown>) => void) | undefined
  readonly #queued: unknown[] = []
  opened = Promise.withResolvers<void>()
  returned = Promise.withResolvers<void>()
  send(event: unknown): void {
    if (this.#waiting) this.#waiting({ done: false, value: event })
    else this.#queued.push(event)
    this.#waiting = undefined
  }
  next(): Promise<IteratorResult<unknown>> {
    if (this.#queued.length > 0) return Promise.resolve({ done: false, value: this.#queued.shift() })
    return new Promise((resolve) => (this.#waiting = resolve))
  }
  async return(): Promise<IteratorResult<unknown>> {
    this.returned.resolve()
    return { done: true, value: undefined }
  }
  [Symbol.asyncIterator](): this {
    return this
  }
}

const text = { type: new GraphQLNonNull(GraphQLString) }
const args = { first: { type: GraphQLInt } }
const Item: GraphQLObjectType = new GraphQLObjectType({
  name: 'Item',
  fields: () => ({
    name: text,
    items: {
      type: new GraphQLNonNull(new GraphQLList(new GraphQLNonNull(Item))),
      args,
      resolve: () => [],
      extensions: { complexity: ({ first }: { first?: number }) => ({ field: 1, multiplier: first ?? 20 }) },
    },
  }),
})

const NoteInput = new GraphQLInputObjectType({
  name: 'NoteInput',
  fields: {
    text,
    tags: { type: new GraphQLList(GraphQLString) },
    tone: { type: new GraphQLEnumType({ name: 'Tone', values: { LOUD: {}, SOFT: {} } }) },
  },
})

/** `calls` gathers the contexts that resolvers saw. */
/** A feed of whatever comes out of the iterator, for one follower. */
function pushed(values: AsyncIterator<unknown>): FeedSource<unknown> {
  return new FeedSource({
    follow(presentation, sink) {
      let left = false
      let count = 0
      const push = async (): Promise<void> => {
        for (let next; !left && !(next = await values.next()).done;) {
          const { rendered } = await presentation.render(next.value as never, principal(), true)
          await sink.drained()
          sink.send(rendered, `c${(count += 1)}`)
        }
        sink.over('FINISHED')
      }
      push().catch((error: unknown) => sink.fail(error))
      return () => {
        left = true
        void values.return?.()
      }
    },
  })
}

function databaseIsAway(): never {
  throw Object.assign(new Error(SECRET), { code: 'ECONNREFUSED' })
}

function smallSchema(events: Events, calls: Call[]): GraphQLSchema {
  const query = new GraphQLObjectType<unknown, Call>({
    name: 'Query',
    fields: {
      hello: { ...text, resolve: () => 'world' },
      who: { type: GraphQLString, resolve: (_root, _args, call) => (calls.push(call), call.principal?.role.toLowerCase()) },
      item: { type: Item, resolve: () => ({ name: 'one' }) },
      echo: {
        type: GraphQLString,
        args: { text: { type: GraphQLString } },
        resolve: (_root, { text }: { text: string }) => text,
      },
      sum: { type: GraphQLInt, args: { of: { type: new GraphQLList(new GraphQLNonNull(GraphQLInt)) } }, resolve: () => 0 },
      long: { type: GraphQLString, resolve: () => 'x'.repeat(10_000_001) },
      broken: {
        type: GraphQLString,
        resolve: () => {
          throw new Error(`password authentication failed for ${SECRET}`)
        },
      },
      away: { type: GraphQLString, resolve: databaseIsAway },
      notAnInt: { type: GraphQLInt, resolve: () => SECRET },
      refused: {
        ...text,
        resolve: () => {
          throw new Fault('FORBIDDEN')
        },
      },
    },
  })
  const mutation = new GraphQLObjectType<unknown, Call>({
    name: 'Mutation',
    fields: {
      note: { type: GraphQLBoolean, args: { input: { type: new GraphQLNonNull(NoteInput) } }, resolve: () => true },
      touch: { type: GraphQLBoolean, resolve: (_root, _args, call) => (calls.push(call), true) },
    },
  })
  const subscription = new GraphQLObjectType<unknown, Call>({
    name: 'Subscription',
    fields: {
      events: {
        type: GraphQLString,
        subscribe: () => (events.opened.resolve(), pushed(events)),
        resolve: (event, _args, call) => {
          calls.push(call)
          if (event instanceof Error) throw event
          return `${String(event)} for ${call.principal?.role}`
        },
      },
      ending: {
        type: GraphQLString,
        subscribe: () =>
          pushed(
            (async function* () {
              yield 'only'
              throw new Error(SECRET)
            })(),
          ),
        resolve: String,
      },
      away: { type: GraphQLString, subscribe: databaseIsAway },
      goingAway: {
        type: GraphQLString,
        subscribe: () =>
          pushed(
            (async function* () {
              yield 'only'
              databaseIsAway()
            })(),
          ),
        resolve: String,
      },
      forbidden: {
        type: GraphQLString,
        subscribe: () => {
          throw new Fault('FORBIDDEN')
        },
      },
    },
  })
  return new GraphQLSchema({ query, mutation, subscription })
}

export function principal(role: Role = 'USER', expiresAt = Date.now() + 60_000): UserPrincipal {
  return {
    kind: 'USER',
    id: '0190a000-0000-7000-8000-000000000001',
    actsAs: '0190a000-0000-7000-8000-000000000001',
    role,
    handle: role.toLowerCase(),
    sessionId: '0190a000-0000-7000-8000-000000000002',
    expiresAt,
  }
}

/** Tokens: `admin`, `user`, `key` of an administrator, `expired`, and whatever a test adds. */
export async function serve(
  changes: Partial<Omit<ServerOptions, 'config'>> & { config?: Partial<ServerOptions['config']> } = {},
) {
  const events = new Events()
  const calls: Call[] = []
  const logged: string[] = []
  const refusals: FaultCode[] = []
  /** kinds of security events, each time that one was counted */
  const counted: string[] = []
  const tokens = new Map<string, Authentication>([
    ['admin', { ok: true, principal: principal('ADMIN') }],
    ['user', { ok: true, principal: principal('USER') }],
    [
      'key',
      { ok: true, principal: { ...principal('ADMIN'), kind: 'API_KEY', ownerId: principal().id, scopes: new Set(SCOPES) } },
    ],
    ['expired', { ok: false, reason: 'EXPIRED' }],
  ])
  const log = createLog('info', new Writable({ write: (chunk, _encoding, done) => (logged.push(String(chunk)), done()) }))
  const config = { host: '127.0.0.1', port: 0, ...changes.config }
  const askReadiness = changes.askReadiness ?? ((): Readiness => ({ waitingFor: [], without: [] }))
  const server = startServer({
    at: changes.at ?? (await openApiPort(config, askReadiness)),
    production: false,
    persisted: { documents: new Map(), only: false },
    schema: smallSchema(events, calls),
    calls: {
      makeCall: (caller) =>
        ({ ...caller, log, services: { security: { count: (kind: string) => counted.push(kind) } } }) as unknown as Context,
      makeFrameCall: (who, _viewerMatters, origin) => ({
        context: { principal: who, origin, requestId: 'frame', log } as Context,
        lookedAtViewer: () => false,
      }),
    },
    authenticate: async (token) => tokens.get(token) ?? { ok: false, reason: 'INVALID' },
    renewPrincipals: async (principals) => [...principals],
    onAuthChange: () => () => undefined,
    createLimiter: createMemoryLimiter,
    requestsPerMinute: 10_000,
    noteRefusal: (_caller, code) => refusals.push(code),
    noteUse: () => undefined,
    askReadiness,
    isLeaving: () => false,
    receiveWebhook: () => Promise.reject(new Fault('NOT_FOUND')),
    registry: new Registry(),
    log,
    ...changes,
    config: {
      metricsPort: undefined,
      publicUrl: undefined,
      trustedProxies: [],
      allowedOrigins: ['https://app.example.com'],
      persistedOperations: [],
      persistedOnly: false,
      socketsPerPrincipal: 100,
      unnamedSocketsPerAddress: 100,
      streamsPerPrincipal: 100,
      ...config,
    },
  })
  onTestFinished(() => server.close())
  return {
    server,
    events,
    calls,
    logged,
    refusals,
    counted,
    tokens,
    url: `${server.url}/graphql`,
    socketUrl: `${server.url.replace('http', 'ws')}/graphql`,
  }
}

export interface Posted extends ExecutionResult {
  status: number
  headers: Headers
}

/** Posts one operation as a GraphQL client would. */
export async function post(
  url: string,
  query: string,
  more: { variables?: object; operationName?: string; token?: string; headers?: Record<string, string> } = {},
): Promise<Posted> {
  const { token, headers, ...params } = more
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body: JSON.stringify({ query, ...params }),
  })
  return { status: response.status, headers: response.headers, ...((await response.json()) as ExecutionResult) }
}

/** graphql-ws's own client, which does not come back by itself. */
export function connect(
  url: string,
  authorization: string | undefined,
  more: Partial<Parameters<typeof createClient>[0]> = {},
): Client {
  const client = createClient({
    url,
    webSocketImpl: WebSocket,
    retryAttempts: 0,
    connectionParams: authorization ? { authorization } : {},
    ...more,
  })
  onTestFinished(() => client.dispose())
  return client
}

export const codeOf = (result: Pick<ExecutionResult, 'errors'>): unknown => result.errors?.[0]?.extensions?.['code']

/** A socket without a client, for what no client would do. */
export class RawSocket {
  readonly socket: WebSocket
  readonly received: { id?: string; type: string; payload?: unknown }[] = []
  readonly closed: Promise<{ code: number; reason: string }>
  readonly #waiting: (() => void)[] = []

  constructor(url: string, options: { protocol?: string; origin?: string } = {}) {
    this.socket = new WebSocket(url, options.protocol ?? 'graphql-transport-ws', { origin: options.origin })
    this.socket.on('message', (data) => {
      this.received.push(JSON.parse((data as Buffer).toString()))
      for (const wake of this.#waiting.splice(0)) wake()
    })
    this.closed = new Promise((resolve) => this.socket.once('close', (code, reason) => resolve({ code, reason: String(reason) })))
    this.socket.on('error', () => undefined)
    onTestFinished(() => this.socket.terminate())
  }

  async open(authorization = 'Bearer user'): Promise<this> {
    await new Promise((resolve, reject) => this.socket.once('open', resolve).once('error', reject))
    this.send({ type: 'connection_init', payload: { authorization } })
    await this.next('connection_ack')
    return this
  }

  send(message: unknown): void {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message))
  }

  subscribe(id: string, query: string, more: object = {}): void {
    this.send({ id, type: 'subscribe', payload: { query, ...more } })
  }

  /** The first message of this type (and id) that has come or comes. */
  // what a test reads of a payload is what it asked for
  // oxlint-disable-next-line no-explicit-any
  async next(type: string, id?: string): Promise<{ id?: string; type: string; payload?: any }> {
    return this.heard((message) => message.type === type && (id === undefined || message.id === id))
  }

  /** The message that came, or comes, at this place. */
  async at(place: number): Promise<RawSocket['received'][number]> {
    return this.heard((message) => message === this.received[place])
  }

  /** The first message like this that has come or comes. */
  async heard(isWanted: (message: RawSocket['received'][number]) => boolean): Promise<RawSocket['received'][number]> {
    for (;;) {
      const found = this.received.find(isWanted)
      if (found) return found
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }
}
