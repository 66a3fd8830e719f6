/** What time alone does to an execution: its deadline and its fence, and the ends of waits, questions and pauses. */
import { shareWork } from '../../language/budget.ts'
import { dueAtOf } from '../in-flight.ts'
import { expireAgent } from '../steps/agent.ts'
import { expireApproval } from '../steps/approval.ts'
import { expireChild } from '../steps/flow.ts'
import { expireSignal } from '../steps/signal.ts'
import { endWait } from '../steps/wait.ts'
import { begin } from './advance.ts'
import { endCompensation } from './compensate.ts'
import type { Draft } from './draft.ts'
import { isStopping, removeInFlight } from './draft.ts'
import { conclude } from './end-execution.ts'
import { fail } from './end-step.ts'
import { runAt } from './run.ts'

export function fireWhatIsDue(draft: Draft): void {
  const { now } = draft.world
  if (draft.deadlineAt !== null && draft.deadlineAt <= now) {
    draft.epoch++ // the fence: whoever still runs a step of it is late
    if (draft.ending !== null) return endCompensation(draft)
    if (draft.cancelReason !== null) return conclude(draft, 'CANCELED', draft.cancelReason)
    return conclude(draft, 'TIMED_OUT', 'the timeout of the flow', {
      code: 'FLOW_TIMEOUT',
      message: 'The flow did not end in time.',
    })
  }
  if (draft.pauseReason !== null || isStopping(draft)) return
  for (const entry of [...draft.inFlight]) {
    if (dueAtOf(entry) > now || !draft.inFlight.includes(entry)) continue
    const run = runAt(draft.from.program, entry.path)
    if (!run) continue
    if (entry.kind === 'agent') expireAgent(draft, run, entry)
    else if (entry.kind === 'signal') expireSignal(draft, run, entry)
    else if (entry.kind === 'approval') expireApproval(draft, run, entry)
    else if (entry.kind === 'wait') endWait(draft, run, entry)
    else if (entry.kind === 'child') expireChild(draft, run, entry)
    else if (entry.kind !== 'backoff') fail(draft, run, entry, 'TIMEOUT', `It did not end within ${run.step.timeoutMs} ms.`)
    else {
      removeInFlight(draft, entry.path)
      shareWork(() => begin(draft, run, entry.attempt))
      if (entry.firstAt !== undefined) keepFirstAt(draft, entry.path, entry.firstAt)
    }
  }
}

function keepFirstAt(draft: Draft, path: string, firstAt: number): void {
  draft.inFlight = draft.inFlight.map((entry) => (entry.path === path ? { ...entry, firstAt } : entry))
}
