/** GraphQL over HTTP, by yoga: parameters from the body, the answer as a response. https://graphql.github.io/graphql-over-http/draft/ */
import { createYoga } from 'graphql-yoga'
import type { GraphQLParams } from 'graphql-yoga'
import type { ExecutionResult } from 'graphql'
import { FAULTS } from '../errors.ts'
import type { FaultCode } from '../errors.ts'
import type { Logger } from '../log.ts'
import type { Params } from './admit.ts'
import type { Answerer, Visitor } from './answer.ts'
import { presentErrors } from './refusal.ts'

const STRICT = 'application/graphql-response+json'
const LEGACY = 'application/json'
export type AcceptedType = typeof STRICT | typeof LEGACY

interface ServerContext {
  visitor: Visitor
  accepted: AcceptedType
}

export type AnswerHttp = (body: string, accepted: AcceptedType, visitor: Visitor) => Promise<Response>

/**
 * Yoga without what it leaves open: no GET, no forms, no batches, no SSE, no body limit of its own (the door has one), no second
 * pipeline: parsing, checks and execution are `answer`'s.
 */
export function createGraphqlOverHttp(answer: Answerer, log: Logger): AnswerHttp {
  const yoga = createYoga<ServerContext>({
    graphqlEndpoint: '/graphql',
    graphiql: false,
    landingPage: false,
    cors: false,
    multipart: false,
    batching: false,
    maxRequestBodySize: false,
    parserAndValidationCache: false,
    maskedErrors: false,
    logging: false,
    plugins: [
      {
        onParams: ({ setParamsHandler }) =>
          setParamsHandler(
            ({ params, context }) =>
              answer((context as unknown as ServerContext).visitor, params as GraphQLParams & Params, 'HTTP') as never,
          ),
        onResultProcess: ({ result, setResult, serverContext }) =>
          setResult(finish(result as ExecutionResult, serverContext as unknown as ServerContext, log) as never),
      },
    ],
  })
  return async (body, accepted, visitor) =>
    yoga.fetch(
      'http://sluice/graphql',
      { method: 'POST', headers: { 'content-type': 'application/json', accept: accepted }, body },
      { visitor, accepted },
    )
}

/** Errors of yoga itself (a body that is not JSON: it would quote it) are presented here, and the status is set. */
function finish(result: ExecutionResult, { visitor, accepted }: ServerContext, log: Logger): ExecutionResult {
  const isOurs = result.errors?.every((error) => 'requestId' in error.extensions) ?? true
  const errors = isOurs ? result.errors : presentErrors(result.errors!, { requestId: visitor.requestId, log })
  return { ...result, errors, extensions: { ...result.extensions, http: { status: statusOf({ ...result, errors }, accepted) } } }
}

/** Refused before GraphQL was reached: the status says so to everybody. */
const REFUSED_AT_THE_DOOR: readonly FaultCode[] = ['UNAUTHENTICATED', 'RATE_LIMITED', 'UNAVAILABLE']

/** By the draft: the status tells what happened under the strict media type, and is 200 under the legacy one. */
function statusOf({ data, errors }: ExecutionResult, accepted: AcceptedType): number {
  const code = errors?.[0]?.extensions['code'] as FaultCode | undefined
  if (!code || data) return 200
  return accepted === STRICT || (data === undefined && REFUSED_AT_THE_DOOR.includes(code)) ? FAULTS[code].status : 200
}

/** The media type to answer with: the better accepted of the two; the strict one when neither is, since an answer is owed. */
export function negotiate(accept = '*/*'): AcceptedType {
  const ranges = accept
    .toLowerCase()
    .split(',')
    .map((range) => {
      const [type, ...parameters] = range.split(';').map((part) => part.trim())
      const quality = Number(parameters.find((parameter) => parameter.startsWith('q='))?.slice(2) ?? 1)
      return { type, quality: quality || 0 }
    })
  const qualityOf = (type: string) => ranges.find((range) => range.type === type)?.quality ?? 0
  return qualityOf(LEGACY) > Math.max(qualityOf(STRICT), qualityOf('*/*'), qualityOf('application/*')) ? LEGACY : STRICT
}
