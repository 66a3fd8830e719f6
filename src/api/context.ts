/** The GraphQL context: one `Call` for each operation, and a fresh one for each frame of a feed, never reused. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { Fault } from '../errors.ts'
import type { Principal } from '../identity/principal.ts'
import { newUuid } from '../ids.ts'
import type { OpenAuditFeed } from '../live/audit-topic.ts'
import type { OpenChanges } from '../live/changes-topic.ts'
import type { OpenExecutionFeed } from '../live/execution-topic.ts'
import type { FeedCursorOf } from '../live/feed-cursors.ts'
import type { Logger } from '../log.ts'
import type { Call, Services } from '../operations/call.ts'
import type { WantedRequests } from '../operations/agent-requests/follow-agent-requests.ts'
import type { FollowedExecutions } from '../operations/executions/follow-executions.ts'

/** What a door (HTTP, WebSocket) knows about a request; everything else in a `Call` comes from the process. */
export type Caller = Pick<Call, 'principal' | 'origin' | 'requestId' | 'signal'>

/** Opens what can be followed. */
export interface FeedOpeners {
  /** where to follow an execution from */
  readonly cursorOf: FeedCursorOf
  readonly openExecutionFeed: OpenExecutionFeed<string>
  readonly openExecutionsFeed: OpenChanges<string, FollowedExecutions>
  readonly openAgentRequestsFeed: OpenChanges<string, WantedRequests>
  readonly openAuditFeed: OpenAuditFeed<string>
}

/** What resolvers work with: the use cases' `Call`, and the feeds, which use cases know nothing of. */
export interface Context extends Call {
  readonly feeds: FeedOpeners
  /** what scopes are asked of: the principal, or one who stands for all of the same standing */
  readonly standing: Principal | undefined
}

/** Makes the context of one operation. */
export type MakeCall = (caller: Caller) => Context

/** The context of one frame, and whether it was looked at who sees it. */
export interface FrameCall {
  readonly context: Context
  lookedAtViewer(): boolean
}

/** `viewerMatters`: it is for `who` alone; else `who` stands for all of the same standing, and looking at it throws. */
export type MakeFrameCall = (who: Principal, viewerMatters: boolean, origin: Call['origin']) => FrameCall

export interface Calls {
  readonly makeCall: MakeCall
  readonly makeFrameCall: MakeFrameCall
}

/**
 * What both doors use. Each call gets a log that knows the request and who asks, and its own forked entity manager when it first asks
 * for it: many never do, and a fork is not cheap.
 */
export function createCalls(services: Services, feeds: FeedOpeners, log: Logger): Calls {
  const makeCall: MakeCall = ({ principal, origin, requestId, signal }) => {
    let em: EntityManager | undefined
    return {
      ...{ principal, standing: principal, origin, requestId, signal, services, feeds },
      get em() {
        return (em ??= services.database.fork())
      },
      log: log.child({ requestId, principal: principal?.id }),
    }
  }
  return {
    makeCall,
    makeFrameCall(who, viewerMatters, origin) {
      const { signal } = new AbortController()
      const call = makeCall({ ...(viewerMatters && { principal: who }), origin, requestId: newUuid(), signal })
      let looked = false
      const context: Context = Object.defineProperties(call, {
        frame: { value: true },
        standing: { value: who },
        principal: {
          get() {
            looked = true
            if (viewerMatters) return who
            throw new Fault('INTERNAL', 'a frame for many was about to show what is for one')
          },
        },
      })
      return { context, lookedAtViewer: () => looked }
    },
  }
}
