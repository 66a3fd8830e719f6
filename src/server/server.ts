/** Starts and stops the doors on one port: HTTP and WebSocket, with the checks they share. */
import { createServer } from 'node:http'
import type { ServerOptions as HttpServerOptions } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { GraphQLSchema } from 'graphql'
import type { Registry } from 'prom-client'
import type { Calls } from '../api/context.ts'
import type { ServerConfig } from '../config/config-types.ts'
import type { AuthChanges } from '../identity/auth-changes.ts'
import type { Authenticate, RenewPrincipals } from '../identity/authenticate.ts'
import type { CreateLimiter } from '../fleet/limiter.ts'
import type { Logger } from '../log.ts'
import type { ReceiveWebhook } from '../operations/triggers/receive-webhook.ts'
import { createAnswerer } from './answer.ts'
import type { NoteRefusal, NoteUse } from './answer.ts'
import { createOriginOf } from './caller.ts'
import { createClientAddress } from './client-address.ts'
import { createEntrance } from './entrance.ts'
import { createGraphiql } from './graphiql/graphiql.ts'
import { createGraphqlOverHttp } from './graphql-over-http.ts'
import type { WaitsFor } from './health.ts'
import { createEventStreams } from './event-stream.ts'
import { createHttpDoor } from './http-door.ts'
import { createDoorMetrics } from './metrics.ts'
import { createOriginRule } from './origins.ts'
import { answerClientError } from './raw-answer.ts'
import { createBodyReader } from './read-request.ts'
import { checkPersisted } from './persisted-operations.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { presentThrown } from './refusal.ts'
import { createRequestLimits } from './request-limits.ts'
import { createSecurityHeaders } from './response-headers.ts'
import { createWebhookDoor } from './webhook-door.ts'
import { createWebSocketDoor } from './websocket-door.ts'

/** What one connection may take of the server's patience and memory. */
const CONNECTION: HttpServerOptions = {
  /** a whole request, its body too, within this time; looked at every second */
  requestTimeout: 30_000,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  /** longer than load balancers keep idle connections (60 s): else they send into one that was just closed */
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16 * 1_024,
  /** the door asks for it, and answers as it always does */
  requireHostHeader: false,
  /** others (h2c) are asked for by clients that go on without: some libraries do so on each request */
  shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
}
/** How long answers that are under way may take when the server closes. */
const CLOSING_MS = 5_000

export interface ServerOptions {
  readonly config: ServerConfig
  /** stricter: introspection for administrators, no suggestions, HSTS */
  readonly production: boolean
  readonly schema: GraphQLSchema
  readonly persisted: PersistedOperations
  readonly calls: Calls
  readonly authenticate: Authenticate
  readonly renewPrincipals: RenewPrincipals
  readonly onAuthChange: AuthChanges['onAuthChange']
  readonly createLimiter: CreateLimiter
  /** of one principal, or of one address before there is one (B3) */
  readonly requestsPerMinute: number
  readonly noteRefusal: NoteRefusal
  readonly noteUse: NoteUse
  /** what keeps the process from working; empty = ready */
  readonly waitsFor: WaitsFor
  /** takes what is sent to `/hooks/<id>` */
  readonly receiveWebhook: ReceiveWebhook
  readonly registry: Registry
  readonly log: Logger
}

export interface Server {
  /** as a browser on this machine would write it */
  readonly url: string
  /** Not ready any more, no new connections, sockets end with 1012; what is under way goes on. */
  drain(): void
  /** Drains, waits for answers under way (at most 5 s), ends the rest. */
  close(): Promise<void>
}

/** Resolves when it listens; rejects when the port is taken. */
export async function startServer(options: ServerOptions): Promise<Server> {
  const { config, production, schema, authenticate, log, registry } = options
  const limits = createRequestLimits(options.createLimiter, options.requestsPerMinute)
  const enter = createEntrance(limits, authenticate)
  const originOf = createOriginOf(createClientAddress(config.trustedProxies))
  let draining = false
  const server = createServer(CONNECTION)
  server.on('clientError', answerClientError)
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(config.port, config.host, resolve))
  const { port } = server.address() as AddressInfo

  const metrics = createDoorMetrics(registry, () => websocket.sockets())
  const noteRefusal: NoteRefusal = (caller, code) => {
    metrics.refused(code)
    options.noteRefusal(caller, code)
  }
  for (const { id, problems } of checkPersisted(options.persisted.documents, schema)) {
    if (problems.length > 0) log.warn({ documentId: id, problems }, 'a persisted operation does not fit the schema')
  }
  const answer = createAnswerer({ ...options, limits, noteRefusal, metrics })
  const allowsOrigin = createOriginRule(config, port)
  const websocket = createWebSocketDoor({
    ...{ ...options, answer, enter, limits, allowsOrigin, originOf, noteRefusal },
    maxSockets: config.socketsPerPrincipal,
    maxUnnamed: config.unnamedSocketsPerAddress,
  })
  const readBody = createBodyReader()
  const http = createHttpDoor({
    answerWebhook: createWebhookDoor({ receiveWebhook: options.receiveWebhook, readBody, limits }),
    answerHttp: createGraphqlOverHttp(answer, log),
    answerStream: createEventStreams(answer, config.streamsPerPrincipal, (thrown, { requestId }) =>
      presentThrown(thrown, { requestId, log }),
    ),
    readBody,
    enter,
    limits,
    originOf,
    allowsOrigin,
    // over plain http browsers ignore it
    setSecurityHeaders: createSecurityHeaders(production && !config.publicUrl?.startsWith('http:')),
    graphiql: options.persisted.only ? undefined : createGraphiql(),
    waitsFor: async () => (draining ? ['draining'] : options.waitsFor()),
    noteRefusal,
    log,
  })
  server.on('request', (request, response) => void http(request, response))
  server.on('upgrade', (request, socket, head) => websocket.upgrade(request, socket, head))

  function drain(): void {
    if (draining) return
    draining = true
    websocket.drain()
    server.close()
    server.closeIdleConnections()
  }

  return {
    url: `http://${urlHost(config.host)}:${port}`,
    drain,
    async close() {
      drain()
      const ended = new Promise<void>((resolve) => (server.listening ? server.once('close', resolve) : resolve()))
      const patience = setTimeout(() => server.closeAllConnections(), CLOSING_MS)
      await websocket.close()
      await ended
      clearTimeout(patience)
    },
  }
}

/** `0.0.0.0` and `::` are every address; a browser wants one. */
function urlHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost'
  return host.includes(':') ? `[${host}]` : host
}
