/** Executions as a topic: those of a filter that the viewer may see, as they are now, at most four times a second. */
import type { Database } from '../database/database.ts'
import type { Execution } from '../engine/entities/execution.ts'
import { EXECUTIONS_TOPIC } from '../engine/engine.ts'
import { isAllowed } from '../identity/principal.ts'
import type { Principal } from '../identity/principal.ts'
import { executionChanges } from './change-log.ts'
import { changesTopics, openChanges } from './changes-topic.ts'
import type { ChangesFrame, OpenChanges, Sight } from './changes-topic.ts'
import type { Feeds } from './feeds.ts'

export interface ShownExecutions {
  /** the newest first */
  readonly executions: readonly Execution[]
}
export interface MovedExecutions {
  readonly executions: readonly Execution[]
  /** UUIDs of those that are not of the filter any more */
  readonly left: readonly string[]
}
export type ExecutionsFrame = ChangesFrame<ShownExecutions, MovedExecutions>

/** A wall screen: faster than the eye is for nobody. */
const PACE_MS = 250

export interface ExecutionsFeedsOptions<Rendered, Wanted> {
  readonly database: Pick<Database, 'query'>
  readonly sight: Sight<Wanted, ShownExecutions, MovedExecutions>
  readonly feeds: Pick<Feeds<Rendered>, 'open'>
  readonly paceMs?: number | undefined
}

export function createExecutionsFeeds<Rendered, Wanted>({
  database,
  sight,
  feeds,
  paceMs = PACE_MS,
}: ExecutionsFeedsOptions<Rendered, Wanted>): OpenChanges<Rendered, Wanted> {
  const mayFollow = (principal: Principal): boolean => isAllowed(principal, 'EXECUTIONS_READ')
  const log = executionChanges(database)
  const topicOf = changesTopics({ name: 'executions', bell: EXECUTIONS_TOPIC, log, sight, mayFollow, paceMs })
  return openChanges({ feeds, topicOf, mayFollow })
}
