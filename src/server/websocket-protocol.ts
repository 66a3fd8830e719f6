/** What graphql-ws asks of us: who comes, and the answer to each `subscribe` message. */
import { parse } from 'graphql'
import type { DocumentNode, ExecutionArgs, ExecutionResult, GraphQLSchema } from 'graphql'
import { makeServer } from 'graphql-ws'
import type { SubscribePayload } from 'graphql-ws'
import { Fault } from '../errors.ts'
import type { FaultCode } from '../errors.ts'
import type { Authenticate } from '../identity/authenticate.ts'
import { newUuid } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { Answerer, NoteRefusal } from './answer.ts'
import { principalOf } from './caller.ts'
import type { Enter } from './entrance.ts'
import { answerTo, callerOf, CLOSE, comeBackLater, renewPrincipal } from './guest.ts'
import type { Guest } from './guest.ts'
import { Places } from './places.ts'
import { presentThrown } from './refusal.ts'
import type { RequestLimits } from './request-limits.ts'
import { traced } from '../tracing.ts'
import { followOnSocket } from './websocket-feed.ts'

const MAX_OPERATIONS = 100

export interface ProtocolOptions {
  readonly schema: GraphQLSchema
  readonly answer: Answerer
  readonly authenticate: Authenticate
  readonly enter: Enter
  readonly limits: RequestLimits
  readonly noteRefusal: NoteRefusal
  /** of one principal, in this process */
  readonly maxSockets: number
  readonly log: Logger
}

/** graphql-ws answers the protocol; `answer` answers the requests. */
export function createProtocol({ schema, answer, authenticate, enter, limits, noteRefusal, maxSockets, log }: ProtocolOptions) {
  const places = new Places(maxSockets)
  const renew = (guest: Guest) => renewPrincipal(guest, (authorization) => principalOf(authorization, authenticate))

  /** Ends the socket when its principal has too many, or opens them too fast. */
  async function letIn(guest: Guest): Promise<void> {
    const principal = await renewPrincipal(guest, (authorization) => enter(guest, authorization))
    const { allowed } = await limits.sockets.take(principal.actsAs)
    const leavePlace = allowed && !guest.left ? places.take(principal.actsAs) : undefined
    if (!leavePlace) {
      guest.socket.close(CLOSE.TRY_LATER, allowed ? 'Too many sockets' : 'Too many sockets in a minute')
      throw new Fault('RATE_LIMITED')
    }
    guest.leavePlace()
    guest.leavePlace = leavePlace
  }

  const present = (thrown: unknown) => presentThrown(thrown, { requestId: newUuid(), log })

  return makeServer<{ authorization?: unknown; Authorization?: unknown }, Guest>({
    // one sweep does it for all, without a timer each
    connectionInitWaitTimeout: Infinity,

    async onConnect({ connectionParams, extra: guest }) {
      guest.greeted = true
      const authorization = connectionParams?.authorization ?? connectionParams?.Authorization
      guest.authorization = typeof authorization === 'string' ? authorization : undefined
      await letIn(guest).catch((error: unknown) => {
        if (!(error instanceof Fault) || !REFUSED.includes(error.code)) throw error
        noteRefusal(callerOf(guest), error.code)
      })
    },

    // Never throws: a refused or malformed document is an `error` message, and the socket stays; unless it should be asked again.
    async onSubscribe(ctx, id, payload) {
      const { subscriptions, extra: guest } = ctx
      // graphql-ws knows an operation by its id only, which a `complete` frees: by this we know which it is
      subscriptions[id] = payload as never
      const ended = await renew(guest).then(() => undefined, present)
      if (ended) return [ended]
      // those that were completed before they were answered count too, until they are
      if (Math.max(Object.keys(subscriptions).length, guest.answering + 1) > MAX_OPERATIONS) {
        const tooMany = new Fault('RATE_LIMITED', `At most ${MAX_OPERATIONS} operations run on one socket at a time.`, {
          extensions: { limit: MAX_OPERATIONS, remaining: 0 },
        })
        noteRefusal(callerOf(guest), 'RATE_LIMITED')
        return [present(tooMany)]
      }
      const answered = await traced(
        'websocket operation',
        () => answerTo(guest, (caller) => answer(caller, payload, { door: 'WEBSOCKET' })),
        () => ({ kind: 'SERVER' }),
      )
      if (ctx.subscriptions[id] !== (payload as never)) return NEVER
      if ('follow' in answered) {
        forget(payload)
        return argsFor(schema, SUBSCRIPTION, () => followOnSocket(answered, id, guest, present))
      }
      // an `error` would end the subscription for good
      if (answered.isOfFeed && answered.errors?.[0]?.extensions['code'] === 'UNAVAILABLE') comeBackLater(guest)
      if (answered.data === undefined) return answered.errors!
      return argsFor(schema, QUERY, () => answered)
    },

    execute: (args) => (args as Answered<ExecutionResult>).begin(),
    subscribe: (args) => (args as Answered<AsyncIterableIterator<ExecutionResult>>).begin(),
  })
}

const REFUSED: readonly FaultCode[] = ['UNAUTHENTICATED', 'RATE_LIMITED']

type Answered<Result> = ExecutionArgs & { begin: () => Result }
/** Of an operation that was completed before it was answered: another may have its id by now, and what came of this one would end that. */
const NEVER = new Promise<never>(() => undefined)
const QUERY = parse('{ __typename }')
const SUBSCRIPTION = parse('subscription { __typename }')

/**
 * The answer is there already; what graphql-ws wants to execute only tells it whether one result or many come. It keeps this for as long
 * as they come, so what has begun is let go of.
 */
function argsFor<Result>(schema: GraphQLSchema, document: DocumentNode, begin: () => Result): Answered<Result> {
  const args: Answered<Result> = {
    schema,
    document,
    begin() {
      args.begin = begunAlready
      return begin()
    },
  }
  return args
}

function begunAlready(): never {
  throw new Error('an operation begins once')
}

/** graphql-ws keeps the message of a feed for as long as it runs, but needs only its id. */
function forget(payload: SubscribePayload): void {
  Object.assign(payload, { query: '', variables: undefined, extensions: undefined })
}
