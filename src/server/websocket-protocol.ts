/** What graphql-ws asks of us: who comes, and the answer to each `subscribe` message. */
import { parse } from 'graphql'
import type { ExecutionArgs, ExecutionResult, GraphQLSchema } from 'graphql'
import { makeServer } from 'graphql-ws'
import { Fault } from '../errors.ts'
import type { Authenticate } from '../identity/authenticate.ts'
import type { Logger } from '../log.ts'
import type { Answer, Answerer, NoteRefusal } from './answer.ts'
import { callerOf, renewPrincipal } from './guest.ts'
import type { Guest } from './guest.ts'
import { presentThrown } from './refusal.ts'

const INIT_TIMEOUT_MS = 4_000
const MAX_OPERATIONS = 100

export interface ProtocolOptions {
  readonly schema: GraphQLSchema
  readonly answer: Answerer
  readonly authenticate: Authenticate
  readonly noteRefusal: NoteRefusal
  readonly log: Logger
}

/** graphql-ws answers the protocol; `answer` answers the requests. */
export function createProtocol({ schema, answer, authenticate, noteRefusal, log }: ProtocolOptions) {
  const presentedTo = (guest: Guest) => (thrown: unknown) => presentThrown(thrown, { requestId: callerOf(guest).requestId, log })

  return makeServer<{ authorization?: unknown; Authorization?: unknown }, Guest>({
    connectionInitWaitTimeout: INIT_TIMEOUT_MS,

    async onConnect({ connectionParams, extra: guest }) {
      const authorization = connectionParams?.authorization ?? connectionParams?.Authorization
      guest.authorization = typeof authorization === 'string' ? authorization : undefined
      await renewPrincipal(guest, authenticate).catch((error: unknown) => {
        if (!(error instanceof Fault) || error.code !== 'UNAUTHENTICATED') throw error
        noteRefusal(callerOf(guest), error.code)
      })
    },

    // Never throws: a refused or malformed document is an `error` message, and the socket stays.
    async onSubscribe({ subscriptions, extra: guest }, _id, payload) {
      const ended = await renewPrincipal(guest, authenticate).then(() => undefined, presentedTo(guest))
      if (ended) return [ended]
      const caller = callerOf(guest)
      if (Object.keys(subscriptions).length > MAX_OPERATIONS) {
        const tooMany = new Fault('RATE_LIMITED', `At most ${MAX_OPERATIONS} operations run on one socket at a time.`)
        return [presentedTo(guest)(tooMany)]
      }
      const answered = await answer({ ...caller, renew: () => renewPrincipal(guest, authenticate) }, payload, {
        door: 'WEBSOCKET',
      })
      if (!(Symbol.asyncIterator in answered) && answered.data === undefined) return answered.errors!
      return argsFor(schema, answered)
    },

    execute: (args) => (args as Answered).answered as ExecutionResult,
    subscribe: (args) => (args as Answered).answered as AsyncIterableIterator<ExecutionResult>,
  })
}

type Answered = ExecutionArgs & { answered: Answer }
const QUERY = parse('{ __typename }')
const SUBSCRIPTION = parse('subscription { __typename }')

/** The answer is there already; what graphql-ws wants to execute only tells it whether one result or many come. */
const argsFor = (schema: GraphQLSchema, answered: Answer): Answered => ({
  schema,
  document: Symbol.asyncIterator in answered ? SUBSCRIPTION : QUERY,
  answered,
})
