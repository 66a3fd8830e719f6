/** The part of the composition root that makes what can be followed: every feed, over one mechanism. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Registry } from 'prom-client'
import type { FeedOpeners } from '../api/context.ts'
import { createFeeds } from '../live/feeds.ts'
import type { Feeds, FeedsOptions } from '../live/feeds.ts'
import { measureFeeds } from '../live/metrics.ts'
import { createAgentRequestsFeeds } from '../live/agent-requests-topic.ts'
import { createAuditFeeds } from '../live/audit-topic.ts'
import { createExecutionFeeds } from '../live/execution-topic.ts'
import { createFeedCursors } from '../live/feed-cursors.ts'
import { createExecutionsFeeds } from '../live/executions-topic.ts'
import type { Services } from '../operations/call.ts'
import { changedAgentRequests, showAgentRequests } from '../operations/agent-requests/follow-agent-requests.ts'
import type { ChangedRequests, ShownRequests, WantedRequests } from '../operations/agent-requests/follow-agent-requests.ts'
import { createChangedExecutions, showExecutions } from '../operations/executions/follow-executions.ts'
import type { FollowedExecutions } from '../operations/executions/follow-executions.ts'
import { mayReadAudit } from '../operations/permissions.ts'
import { whoMaySee } from '../operations/executions/who-may-see.ts'

/** How long a stopping server waits until the last one was told. */
const TELLING_MS = 500

/** Started, measured, and stopped with the stack. */
export function openFeeds(options: FeedsOptions, registry: Registry, stack: AsyncDisposableStack): Feeds<string> {
  const feeds = createFeeds<string>(options)
  feeds.start()
  measureFeeds(feeds, registry)
  stack.defer(() => feeds.stop())
  return feeds
}

/** Tells everybody who follows anything that the server goes down, over at most `mostMs` if there are many. */
export async function drainFeeds(feeds: Pick<Feeds<string>, 'drain'>, mostMs: number): Promise<void> {
  const patience = new AbortController()
  const late = sleep(mostMs + TELLING_MS, undefined, { signal: patience.signal }).catch(() => undefined)
  await Promise.race([feeds.drain(mostMs), late])
  patience.abort()
}

/** `paceMs`: of feeds of executions, 250. */
export function feedOpeners(feeds: Pick<Feeds<string>, 'open'>, services: Services, paceMs?: number): FeedOpeners {
  const { database, engine } = services
  return {
    cursorOf: createFeedCursors(database),
    openExecutionFeed: createExecutionFeeds({
      ...{ database, feeds, masks: engine.masks },
      whoMaySee: (asked) => whoMaySee(database, asked),
    }),
    openExecutionsFeed: createExecutionsFeeds<string, FollowedExecutions>({
      ...{ database, feeds, paceMs },
      sight: {
        show: async (principal, wanted) => ({ executions: await showExecutions(services, principal, wanted) }),
        changed: createChangedExecutions(services),
      },
    }),
    openAgentRequestsFeed: createAgentRequestsFeeds<string, WantedRequests, ShownRequests, ChangedRequests>({
      ...{ database, feeds },
      sight: {
        show: (principal, wanted) => showAgentRequests(services, principal, wanted),
        changed: (principal, wanted, ids) => changedAgentRequests(services, principal, wanted, ids),
      },
    }),
    openAuditFeed: createAuditFeeds({ database, feeds, mayReadAudit }),
  }
}
