/** The HTTP door: one request from its headers to its answer. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault, FAULTS } from '../errors.ts'
import type { LimitState } from '../fleet/limiter.ts'
import type { Origin } from '../audit/audit-entry.ts'
import type { Principal } from '../identity/principal.ts'
import type { Logger } from '../log.ts'
import { isTracing, readTraceparent, traced } from '../tracing.ts'
import type { SpanOptions } from '../tracing.ts'
import type { NoteRefusal, Visitor } from './answer.ts'
import { requestIdOf } from './caller.ts'
import type { OriginOf } from './caller.ts'
import { answerDefinitionSchema } from './definition-schema.ts'
import type { Enter } from './entrance.ts'
import type { Graphiql } from './graphiql/graphiql.ts'
import { negotiate } from './graphql-over-http.ts'
import type { AcceptedType, AnswerHttp } from './graphql-over-http.ts'
import { wantsStream } from './event-stream.ts'
import type { AnswerStream } from './event-stream.ts'
import { MAX_ANSWER_BYTES } from './follow.ts'
import { answerHealth } from './health.ts'
import type { AskReadiness } from './health.ts'
import type { AnswerWebhook } from './webhook-door.ts'
import type { AllowsOrigin } from './origins.ts'
import { presentThrown } from './refusal.ts'
import { keyOf, rateLimited } from './request-limits.ts'
import type { RequestLimits } from './request-limits.ts'
import { readSearch } from './read-request.ts'
import type { ReadBody } from './read-request.ts'
import { setCorsHeaders, setPreflightHeaders } from './response-headers.ts'

export interface HttpDoorOptions {
  readonly answerHttp: AnswerHttp
  readonly answerStream: AnswerStream
  readonly answerWebhook: AnswerWebhook
  readonly readBody: ReadBody
  readonly enter: Enter
  readonly limits: RequestLimits
  readonly originOf: OriginOf
  readonly allowsOrigin: AllowsOrigin
  readonly setSecurityHeaders: (request: IncomingMessage, response: ServerResponse) => void
  /** undefined: no page is served */
  readonly graphiql: Graphiql | undefined
  readonly askReadiness: AskReadiness
  /** answers end their connections */
  readonly isLeaving: () => boolean
  readonly noteRefusal: NoteRefusal
  readonly log: Logger
}

/** Never rejects: whatever happens is an answer. */
export function createHttpDoor(options: HttpDoorOptions): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { setSecurityHeaders, originOf, askReadiness, isLeaving, graphiql, answerWebhook, log } = options

  return async (request, response) => {
    const visit = openVisit(originOf(request), request, response)
    response.setHeader('x-request-id', visit.requestId)
    setSecurityHeaders(request, response)
    if (isLeaving()) response.setHeader('connection', 'close')
    const path = (request.url ?? '/').split('?', 1)[0]!
    try {
      const hosts = request.headersDistinct['host']?.length ?? 0
      if (hosts > 1 || (request.httpVersion === '1.1' && hosts === 0)) throw new Fault('BAD_REQUEST', 'Send one host header.')
      if (request.method === 'GET' && (await answerHealth(path, response, askReadiness))) return
      if (request.method === 'GET' && answerDefinitionSchema(path, request, response)) return
      if (request.method === 'GET' && (await graphiql?.answerAsset(path, request, response))) return
      if (await answerWebhook(path, request, response, visit)) return
      if (path !== '/graphql') throw new Fault('NOT_FOUND', 'There is nothing here; the API is at /graphql.')
      if (isTracing())
        await traced(
          'http /graphql',
          () => answerGraphql(request, response, visit, options),
          () => spanOf(request),
        )
      else await answerGraphql(request, response, visit, options)
    } catch (error) {
      if (!response.headersSent) sendFault(request, response, error, visit, log)
    }
  }
}

/** It goes on with the trace of whoever calls, if they say one. */
const spanOf = ({ headers, method }: IncomingMessage): SpanOptions => ({
  ...{ kind: 'SERVER', parent: readTraceparent(headers['traceparent']) },
  attributes: { 'http.request.method': method ?? '' },
})

function openVisit(origin: Origin, request: IncomingMessage, response: ServerResponse): Visitor {
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  return {
    origin,
    requestId: requestIdOf(request),
    signal: gone.signal,
    onRate: rateHeaders(response),
  }
}

async function answerGraphql(
  request: IncomingMessage,
  response: ServerResponse,
  visit: Visitor,
  options: HttpDoorOptions,
): Promise<void> {
  const { answerHttp, answerStream, graphiql, readBody } = options
  checkOrigin(request, response, visit, options)
  if (request.method === 'OPTIONS') {
    setPreflightHeaders(response)
    response.writeHead(204).end()
    return
  }
  const readsOnly = request.method === 'GET'
  if (readsOnly && graphiql && request.headers.accept?.includes('text/html')) return graphiql.answerPage(response)
  if (!readsOnly && request.method !== 'POST') throw new Fault('METHOD_NOT_ALLOWED')
  const accepted = negotiate(request.headers.accept)
  const sender = await whoAsks(request, visit, options)
  const body = readsOnly ? readSearch(request) : await readBody(request, keyOf({ ...visit, principal: sender }))
  // a body may take half a minute: whoever was let in may have been put out since
  const principal = readsOnly ? sender : await whoAsks(request, visit, options)
  if (wantsStream(request)) return answerStream(request, response, { body, readsOnly }, { ...visit, principal })
  const answered = await answerHttp({ body, accepted, readsOnly }, { ...visit, principal })
  if (Buffer.byteLength(answered.body) > MAX_ANSWER_BYTES) throw new Fault('RESPONSE_TOO_LARGE')
  send(response, answered.status, accepted, answered.body)
}

/** Before the body is read: nothing of a caller who has no requests left is. */
async function whoAsks(
  { headers }: IncomingMessage,
  visit: Visitor,
  { enter, limits, noteRefusal }: HttpDoorOptions,
): Promise<Principal | undefined> {
  let principal: Principal | undefined
  try {
    principal = await enter(visit, headers.authorization)
    const spent = limits.spent({ ...visit, principal })
    if (!spent) return principal
    visit.onRate?.(spent)
    throw rateLimited(spent)
  } catch (error) {
    if (error instanceof Fault && error.code !== 'UNAVAILABLE') noteRefusal({ ...visit, principal }, error.code)
    throw error
  }
}

/** A page of another origin is refused, whatever it sends (B7); no Origin = not a browser. */
function checkOrigin(
  request: IncomingMessage,
  response: ServerResponse,
  visit: Visitor,
  { allowsOrigin, noteRefusal }: HttpDoorOptions,
): void {
  response.setHeader('vary', 'origin, accept, authorization')
  const { origin, host } = request.headers
  if (origin === undefined) return
  if (!allowsOrigin(origin, host)) {
    noteRefusal(visit, 'FORBIDDEN')
    throw new Fault('FORBIDDEN', 'Pages of this origin may not call the API.')
  }
  setCorsHeaders(response, origin)
}

/** Of several that are told for one answer (a batch, an operation that counts more than once) the least stands. */
function rateHeaders(response: ServerResponse): (rate: LimitState) => void {
  let least = Infinity
  return ({ allowed, limit, remaining, resetMs }) => {
    const seconds = Math.ceil(resetMs / 1_000)
    if (!allowed) response.setHeader('retry-after', seconds)
    if (remaining > least) return
    least = remaining
    response.setHeader('x-ratelimit-limit', limit)
    response.setHeader('x-ratelimit-remaining', remaining)
    response.setHeader('x-ratelimit-reset', seconds)
  }
}

function sendFault(
  request: IncomingMessage,
  response: ServerResponse,
  thrown: unknown,
  { requestId }: Visitor,
  log: Logger,
): void {
  const error = presentThrown(thrown, { requestId, log })
  const code = error.extensions['code'] as keyof typeof FAULTS
  if (code === 'UNAUTHENTICATED') response.setHeader('www-authenticate', 'Bearer')
  send(response, FAULTS[code].status, negotiate(request.headers.accept), JSON.stringify({ errors: [error] }))
}

function send(response: ServerResponse, status: number, type: AcceptedType, body: string): void {
  if (status === FAULTS.METHOD_NOT_ALLOWED.status) response.setHeader('allow', 'GET, POST, OPTIONS')
  const bytes = Buffer.from(body)
  const headers = { 'content-type': `${type}; charset=utf-8`, 'content-length': bytes.length, 'cache-control': 'no-store' }
  response.writeHead(status, headers).end(bytes)
}
