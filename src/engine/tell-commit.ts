/** What a commit is told to others: followers, callers who wait, executions that a word is for, whoever holds it or may claim it. */
import type { Bus } from '../fleet/bus.ts'
import { DEFAULT_POOL } from '../language/around/pool.ts'
import type { Dispatch } from '../fleet/dispatch.ts'
import type { Transition } from './decide/draft.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { WaitRow } from './decide/wait-rows.ts'
import {
  AGENT_REQUESTS_TOPIC,
  endedTopic,
  EXECUTIONS_TOPIC,
  executionTopic,
  STEPS_TOPIC,
  WORD_TOPIC,
  workerTopic,
} from './engine.ts'
import { hasEnded } from './states.ts'

/** Those that change a request; the others are nothing to whoever follows requests. */
const OF_REQUESTS: ReadonlySet<WaitRow['kind']> = new Set(['approval', 'vote', 'delegation'])

/** `workerId`: who needs not be told, being the one who stored it. */
export function createTelling(bus: Bus, dispatch: Dispatch, workerId: string): (transition: Transition) => void {
  return ({ next, asks, closedAsks, waits, words, aborts }) => {
    bus.ring(executionTopic(next.id), String(next.seq))
    bus.ring(EXECUTIONS_TOPIC)
    if (asks.length + closedAsks.length > 0 || waits.some(({ kind }) => OF_REQUESTS.has(kind))) bus.ring(AGENT_REQUESTS_TOPIC)
    if (hasEnded(next.status)) bus.ring(endedTopic(next.id))
    for (const word of words) bus.ring(WORD_TOPIC, word.executionId)
    for (const wait of waits)
      if (wait.kind === 'pooled' || wait.kind === 'requeued') bus.ring(STEPS_TOPIC, poolOfStep(next, wait.path))
    for (const { worker } of aborts) if (worker !== undefined && worker !== workerId) bus.ring(workerTopic(worker), next.id)
    if (isReady(next))
      dispatch.offer({ pool: poolOf(next), executionId: next.id, version: next.version, priority: next.priority ?? 0 })
    else if (next.owner !== null && next.owner !== workerId) bus.ring(workerTopic(next.owner), next.id)
  }
}

function poolOfStep({ inFlight }: Snapshot, path: string): string | undefined {
  const entry = inFlight.find((other) => other.path === path)
  return entry?.kind === 'pooled' ? entry.pool : undefined
}

const poolOf = ({ program }: Snapshot): string => program.pool ?? DEFAULT_POOL

/** To be claimed by anybody of its pool, now. */
function isReady({ owner, wakeAt, status }: Snapshot): boolean {
  return owner === null && wakeAt === null && (status === 'RUNNING' || status === 'PENDING')
}
