/** Agent requests as a topic: an inbox, of a role or of whoever looks. */
import type { Database } from '../database/database.ts'
import { AGENT_REQUESTS_TOPIC } from '../engine/engine.ts'
import { isAllowed } from '../identity/principal.ts'
import type { Principal } from '../identity/principal.ts'
import { agentRequestChanges } from './change-log.ts'
import { changesTopics, openChanges } from './changes-topic.ts'
import type { ChangesFrame, OpenChanges, Sight } from './changes-topic.ts'
import type { Feeds } from './feeds.ts'

export type AgentRequestsFrame<Request> = ChangesFrame<
  { readonly requests: readonly Request[]; readonly hasMore: boolean },
  { readonly requests: readonly Request[] }
>

export interface AgentRequestsFeedsOptions<Rendered, Wanted, Shown, Changed> {
  readonly database: Pick<Database, 'query'>
  readonly sight: Sight<Wanted, Shown, Changed>
  readonly feeds: Pick<Feeds<Rendered>, 'open'>
}

export function createAgentRequestsFeeds<Rendered, Wanted, Shown extends object, Changed extends object>({
  database,
  sight,
  feeds,
}: AgentRequestsFeedsOptions<Rendered, Wanted, Shown, Changed>): OpenChanges<Rendered, Wanted> {
  const mayFollow = (principal: Principal): boolean => isAllowed(principal, 'REQUESTS_READ')
  const log = agentRequestChanges(database)
  // agents wait for what they are asked: nothing is held back
  const topicOf = changesTopics({ name: 'agent requests', bell: AGENT_REQUESTS_TOPIC, log, sight, mayFollow, paceMs: 0 })
  return openChanges({ feeds, topicOf, mayFollow })
}
