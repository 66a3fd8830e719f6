/** How every top-level error looks: a code, the request's id, nothing from inside. Unknown faults are masked and logged with their cause. */
import { GraphQLError } from 'graphql'
import { isAway } from '../database/when-reachable.ts'
import { Fault } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import type { Trouble } from '../trouble.ts'

const MAX_MESSAGE = 500

export interface Refused {
  readonly requestId: string
  readonly log: Logger
}

/** Whatever was thrown, as the GraphQL error that a client sees. */
export function presentThrown(thrown: unknown, refused: Refused): GraphQLError {
  const error = thrown instanceof GraphQLError ? thrown : new GraphQLError('', { originalError: thrown as Error })
  return presentErrors([error], refused)[0]!
}

/**
 * `errors` as clients see them. What graphql-js refuses before it executes is the caller's (BAD_REQUEST); a `Fault` shows its
 * code; a database that is away is UNAVAILABLE; anything else is INTERNAL, without its message.
 */
export function presentErrors(errors: readonly GraphQLError[], { requestId, log }: Refused): GraphQLError[] {
  return errors.map((error) => {
    const fault = faultOf(error)
    if (fault.code === 'UNAVAILABLE') waitsOf(log).failed(fault.cause, { requestId, path: error.path?.join('.') })
    if (fault.code === 'INTERNAL') log.error({ requestId, err: fault.cause, path: error.path?.join('.') }, 'a request failed')
    const { nodes, source, positions, path } = error
    return new GraphQLError(fault.message, { nodes, source, positions, path, extensions: { ...fault.extensions, requestId } })
  })
}

/** While the database is away each request has to wait, for one reason. */
const WAITS = new WeakMap<Logger, Trouble>()

function waitsOf(log: Logger): Trouble {
  const known = WAITS.get(log) ?? createTrouble({ log, message: 'a request has to wait' })
  WAITS.set(log, known)
  return known
}

function faultOf(error: GraphQLError): Fault {
  let cause: unknown = error
  while (cause instanceof GraphQLError && cause.originalError) cause = cause.originalError
  if (cause instanceof Fault) return cause
  if (isAway(cause)) return new Fault('UNAVAILABLE', undefined, { cause })
  const isOfTheRequest = cause instanceof GraphQLError && error.path === undefined
  return isOfTheRequest ? new Fault('BAD_REQUEST', shortened(error.message)) : new Fault('INTERNAL', undefined, { cause })
}

/** graphql-js quotes literals, however long they are. */
const shortened = (message: string): string => (message.length <= MAX_MESSAGE ? message : `${message.slice(0, MAX_MESSAGE)} ...`)
