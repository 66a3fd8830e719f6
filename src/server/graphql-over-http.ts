/** GraphQL over HTTP, by yoga: parameters from the body, the answer as a response. https://graphql.github.io/graphql-over-http/draft/ */
import { createYoga } from 'graphql-yoga'

import { GraphQLError } from 'graphql'
import type { ExecutionResult } from 'graphql'
import { FAULTS } from '../errors.ts'
import type { FaultCode } from '../errors.ts'
import type { Logger } from '../log.ts'
import { checkParameters, MAX_COST } from './admit.ts'
import { boundKeys } from './bound-keys.ts'
import type { Params, Way } from './admit.ts'
import type { Answerer, Visitor } from './answer.ts'
import { presentErrors } from './refusal.ts'

const STRICT = 'application/graphql-response+json'
const LEGACY = 'application/json'
export type AcceptedType = typeof STRICT | typeof LEGACY

/** More operations in one body are refused. */
export const MAX_BATCH = 10

interface ServerContext {
  readonly visitor: Visitor
  readonly accepted: AcceptedType
  readonly way: Way
  readonly body: string
  /** filled in; yoga copies the context */
  readonly outcome: { status: number }
}

export interface HttpRequest {
  /** the parameters of one operation, or a list of at most 10 */
  readonly body: string
  readonly accepted: AcceptedType
  /** it came by GET */
  readonly readsOnly: boolean
}

export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

export type AnswerHttp = (request: HttpRequest, visitor: Visitor) => Promise<HttpAnswer>

/**
 * Yoga without what it leaves open: no GET, no forms, no streams (`event-stream.ts` has them), no body limit of its own (the door has one), no second pipeline:
 * parsing, checks and execution are `answer`'s. The operations of a batch run side by side and share one budget of cost.
 */
export function createGraphqlOverHttp(answer: Answerer, log: Logger): AnswerHttp {
  const yoga = createYoga<ServerContext>({
    graphqlEndpoint: '/graphql',
    graphiql: false,
    landingPage: false,
    cors: false,
    multipart: false,
    batching: { limit: MAX_BATCH },
    extraParamNames: ['documentId'],
    maxRequestBodySize: false,
    parserAndValidationCache: false,
    maskedErrors: false,
    logging: false,
    plugins: [
      {
        onRequestParse: ({ serverContext, setRequestParser }) =>
          setRequestParser(() => readParameters((serverContext as unknown as ServerContext).body)),
        onParams({ params, setParams, setParamsHandler }) {
          // before yoga's check, which would quote a name that it does not know
          if (isObject(params)) checkParameters(params)
          // the id of a persisted operation stands for it, and yoga's check of the parameters, which comes next, wants a text
          if (namesOperation(params) && (params.query ?? undefined) === undefined) setParams({ ...params, query: '' })
          setParamsHandler(({ params: checked, context }) => {
            const { visitor, way } = context as unknown as ServerContext
            return answer(visitor, checked as Params, way) as never
          })
        },
        onResultProcess: ({ result, setResult, serverContext }) =>
          setResult(finish(result as Result | Result[], serverContext as unknown as ServerContext, log) as never),
      },
    ],
  })
  return async ({ body, accepted, readsOnly }, visitor) => {
    const way: Way = { door: 'HTTP', readsOnly, budget: { left: MAX_COST } }
    const outcome = { status: 200 }
    const headers = { 'content-type': 'application/json', accept: accepted }
    const response = await yoga.fetch(
      'http://sluice/graphql',
      { method: 'POST', headers },
      { visitor, accepted, way, body, outcome },
    )
    return { ...outcome, body: await response.text() }
  }
}

/** The body as an object, or as a list that is not empty. Never a thenable, which yoga would wait for: `then` is no parameter. */
export function readParameters(body: string): object {
  boundKeys(body)
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    throw new GraphQLError('The body is no JSON.')
  }
  if (typeof parsed !== 'object' || parsed === null) throw new GraphQLError('The body is no object.')
  if (Array.isArray(parsed) && parsed.length === 0) throw new GraphQLError('The batch is empty.')
  if ('then' in parsed) checkParameters(parsed as Params)
  return parsed
}

const isObject = (params: unknown): params is Params => typeof params === 'object' && params !== null

/** Of what was not checked yet: it may be anything. */
const namesOperation = (params: Params | null): boolean =>
  (params?.documentId ?? params?.extensions?.['persistedQuery']) !== undefined

type Result = ExecutionResult

/** Errors of yoga itself (a body that is not JSON: it would quote it) are presented here. A batch has the status that all in it have, else 200. */
function finish(result: Result | Result[], context: ServerContext, log: Logger): Result | Result[] {
  const finished = [result].flat().map((one) => finishOne(one, context, log))
  const statuses = new Set(finished.map(({ status }) => status))
  context.outcome.status = statuses.size === 1 ? [...statuses][0]! : 200
  const results = finished.map(({ answer }) => answer)
  return Array.isArray(result) ? results : results[0]!
}

function finishOne(answer: Result, { visitor, accepted }: ServerContext, log: Logger): { answer: Result; status: number } {
  const isOurs = answer.errors?.every((error) => 'requestId' in error.extensions) ?? true
  if (isOurs) return { answer, status: statusOf(answer, accepted) }
  const errors = presentErrors(answer.errors!, { requestId: visitor.requestId, log })
  // what is no request at all is malformed under every media type
  return { answer: { errors }, status: FAULTS.BAD_REQUEST.status }
}

/** Refused before GraphQL was reached: the status says so to everybody. */
const REFUSED_AT_THE_DOOR: readonly FaultCode[] = ['UNAUTHENTICATED', 'RATE_LIMITED', 'UNAVAILABLE', 'METHOD_NOT_ALLOWED']

/** By the draft: the status tells what happened under the strict media type, and is 200 under the legacy one. */
function statusOf({ data, errors }: ExecutionResult, accepted: AcceptedType): number {
  const code = errors?.[0]?.extensions['code'] as FaultCode | undefined
  if (!code || data) return 200
  return accepted === STRICT || (data === undefined && REFUSED_AT_THE_DOOR.includes(code)) ? FAULTS[code].status : 200
}

/** The media type to answer with: by the draft the legacy one, unless the strict one is accepted by its name and as well. */
export function negotiate(accept = ''): AcceptedType {
  const ranges = accept
    .toLowerCase()
    .split(',')
    .map((range) => {
      const [type, ...parameters] = range.split(';').map((part) => part.trim())
      const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
      return { type, quality: quality || 0 }
    })
  const qualityOf = (type: string) => ranges.find((range) => range.type === type)?.quality ?? 0
  const strict = qualityOf(STRICT)
  return strict > 0 && strict >= qualityOf(LEGACY) ? STRICT : LEGACY
}
