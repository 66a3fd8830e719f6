/** Executions of drills that nobody waits for: of one that is interrupted, or of one that was killed. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Session } from '../../clients/feed/session.ts'

const CANCEL = `mutation ($input: CancelExecutionsInput!) {
  cancelExecutions(input: $input) { ... on CancelExecutionsSuccess { remaining } ... on Problem { message } }
}`
type Answer = { cancelExecutions: { remaining?: number } }

const ACTIVE = ['PENDING', 'RUNNING', 'WAITING', 'PAUSED']
const CANCELED_WITHIN_MS = 10_000
/** What it runs has ten seconds to stop. */
const ENDED_WITHIN_MS = 15_000
const LOOK_MS = 100

/** Cancels all that have not ended, as far as the API answers. */
export async function cancelLeftovers(session: Session, flow: string): Promise<void> {
  const input = { filter: { flow, status: ACTIVE }, reason: 'its drill is over' }
  for (const until = performance.now() + CANCELED_WITHIN_MS; performance.now() < until; await pause(LOOK_MS)) {
    const answer = await session.run<Answer>(CANCEL, { input }).catch(() => undefined)
    if (answer?.cancelExecutions.remaining === 0) return
  }
}

/** Resolves when none is left, or when that takes too long: then others end them in time. */
export async function untilEnded(countUnended: () => Promise<number>): Promise<void> {
  for (const until = performance.now() + ENDED_WITHIN_MS; performance.now() < until; await pause(LOOK_MS))
    if ((await countUnended()) === 0) return
}
