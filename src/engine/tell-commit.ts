/** What a commit is told to others: followers, callers who wait, executions that a word is for, whoever holds it or may claim it. */
import type { Bus } from '../fleet/bus.ts'
import { DEFAULT_POOL } from '../language/around/pool.ts'
import type { Dispatch } from '../fleet/dispatch.ts'
import type { Transition } from './decide/draft.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { WaitRow } from './decide/wait-rows.ts'
import { AGENT_REQUESTS_TOPIC, endedTopic, EXECUTIONS_TOPIC, executionTopic, WORD_TOPIC, workerTopic } from './engine.ts'
import { hasEnded } from './states.ts'

/** Those that change a request; the others are nothing to whoever follows requests. */
const OF_REQUESTS: ReadonlySet<WaitRow['kind']> = new Set(['approval', 'vote', 'delegation'])

export interface TellingOptions {
  bus: Bus
  dispatch: Dispatch
  /** who needs not be told, being the one who stored it */
  workerId: string
  isHeld(executionId: string): boolean
  offerUnheld(executionId: string): void
}

export function createTelling(options: TellingOptions): (transition: Transition) => void {
  const { bus, dispatch, workerId, isHeld, offerUnheld } = options
  return ({ next, asks, closedAsks, waits, words, aborts }) => {
    bus.ring(executionTopic(next.id), String(next.seq))
    bus.ring(EXECUTIONS_TOPIC)
    if (asks.length + closedAsks.length > 0 || waits.some(({ kind }) => OF_REQUESTS.has(kind))) bus.ring(AGENT_REQUESTS_TOPIC)
    if (hasEnded(next.status)) bus.ring(endedTopic(next.id))
    for (const { executionId } of words) {
      bus.ring(WORD_TOPIC, executionId)
      if (!isHeld(executionId)) offerUnheld(executionId)
    }
    for (const wait of waits) if (wait.kind === 'pooled' || wait.kind === 'requeued') offerStep(next, wait.path)
    for (const { worker } of aborts) if (worker !== undefined && worker !== workerId) bus.ring(workerTopic(worker), next.id)
    if (isReady(next)) dispatch.offer({ pool: poolOf(next), ...idsOf(next) })
    else if (next.owner !== null && next.owner !== workerId) bus.ring(workerTopic(next.owner), next.id)
  }

  function offerStep(next: Snapshot, path: string): void {
    const entry = next.inFlight.find((other) => other.path === path)
    if (entry?.kind === 'pooled') dispatch.offer({ pool: entry.pool, step: path, ...idsOf(next) })
  }
}

const idsOf = ({ id, version, priority }: Snapshot) => ({ executionId: id, version, priority: priority ?? 0 })

const poolOf = ({ program }: Snapshot): string => program.pool ?? DEFAULT_POOL

/** To be claimed by anybody of its pool, now. */
function isReady({ owner, wakeAt, status }: Snapshot): boolean {
  return owner === null && wakeAt === null && (status === 'RUNNING' || status === 'PENDING')
}
