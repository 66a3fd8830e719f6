/** Starts and stops the doors on one port: HTTP and WebSocket, with the checks they share. */
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
import type { ApiPort } from './api-port.ts'
import { createOriginOf } from './caller.ts'
import { createClientAddress } from './client-address.ts'
import { createEntrance } from './entrance.ts'
import { createGraphiql } from './graphiql/graphiql.ts'
import { createGraphqlOverHttp } from './graphql-over-http.ts'
import type { AskReadiness, Readiness } from './health.ts'
import { createEventStreams } from './event-stream.ts'
import { createHttpDoor } from './http-door.ts'
import { createDoorMetrics } from './metrics.ts'
import { createOriginRule } from './origins.ts'
import { createBodyReader } from './read-request.ts'
import { checkPersisted } from './persisted-operations.ts'
import type { PersistedOperations } from './persisted-operations.ts'
import { presentThrown } from './refusal.ts'
import { createRequestLimits } from './request-limits.ts'
import { createSecurityHeaders } from './response-headers.ts'
import { createWebhookDoor } from './webhook-door.ts'
import { createWebSocketDoor } from './websocket-door.ts'

/** How long answers that are under way may take when the server closes. */
const CLOSING_MS = 5_000

export interface ServerOptions {
  /** where its doors open */
  readonly at: ApiPort
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
  readonly askReadiness: AskReadiness
  /** it will close soon: answers end their connections, so that whoever keeps them open goes elsewhere */
  readonly isLeaving: () => boolean
  /** takes what is sent to `/hooks/<id>` */
  readonly receiveWebhook: ReceiveWebhook
  readonly registry: Registry
  readonly log: Logger
}

export interface Server {
  /** as a browser on this machine would write it */
  readonly url: string
  /** Not ready any more, no new connections; what is under way goes on, sockets too. */
  shut(): void
  /** The same, and sockets end with 1012. */
  drain(): void
  /** Drains, waits for answers under way (at most 5 s), ends the rest. */
  close(): Promise<void>
}

const DRAINING: Readiness = { waitingFor: ['draining'], without: [] }

export function startServer(options: ServerOptions): Server {
  const { at, config, production, schema, authenticate, log, registry } = options
  const limits = createRequestLimits(options.createLimiter, options.requestsPerMinute)
  const enter = createEntrance(limits, authenticate)
  const originOf = createOriginOf(createClientAddress(config.trustedProxies))
  let draining = false
  const { server, port } = at

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
    askReadiness: () => (draining ? DRAINING : options.askReadiness()),
    isLeaving: () => draining || options.isLeaving(),
    noteRefusal,
    log,
  })
  at.open({ request: http, upgrade: (...asked) => websocket.upgrade(...asked) })

  function shut(): void {
    if (draining) return
    draining = true
    websocket.shut()
    server.close()
    server.closeIdleConnections()
  }

  function drain(): void {
    shut()
    websocket.drain()
  }

  return {
    url: at.url,
    ...{ shut, drain },
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
