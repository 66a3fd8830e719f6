/** The GraphQL context: one `Call` for each operation, and a fresh one for each event of a subscription, never reused. */
import type { Feeds } from '../live/feeds.ts'
import type { Call, Services } from '../operations/call.ts'
import type { Logger } from '../log.ts'

/** What a door (HTTP, WebSocket) knows about a request; everything else in a `Call` comes from the process. */
export type Caller = Pick<Call, 'principal' | 'origin' | 'requestId' | 'signal'>

/** What resolvers work with: the use cases' `Call`, and the feeds, which use cases know nothing of. */
export interface Context extends Call {
  readonly feeds: Feeds
}

/** Makes the context of one operation or one event. */
export type MakeCall = (caller: Caller) => Context

/** The factory that both doors use. Each call gets its own forked entity manager and a log that knows the request and who asks. */
export function createCalls(services: Services, feeds: Feeds, log: Logger): MakeCall {
  return ({ principal, origin, requestId, signal }) => ({
    principal,
    origin,
    requestId,
    signal,
    services,
    feeds,
    em: services.database.fork(),
    log: log.child({ requestId, principal: principal?.id }),
  })
}
