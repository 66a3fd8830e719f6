/** Which steps may run now, and their beginning; steps that take no time end here at once. */
import { shareWork, workSpent } from '../../language/budget.ts'
import { hasEnded } from '../states.ts'
import { beginAct } from '../steps/act.ts'
import { beginAgent } from '../steps/agent.ts'
import { beginApproval } from '../steps/approval.ts'
import { beginFail } from '../steps/fail.ts'
import { beginFlow } from '../steps/flow.ts'
import { beginLoop } from '../steps/loop.ts'
import { beginMap } from '../steps/map.ts'
import type { Go } from '../steps/map.ts'
import { beginNotify } from '../steps/notify.ts'
import { beginPooled } from '../steps/pooled.ts'
import { beginRoute } from '../steps/route.ts'
import { beginSignal } from '../steps/signal.ts'
import { beginTransform } from '../steps/transform.ts'
import { beginWait } from '../steps/wait.ts'
import { advanceComposites, tellProgress } from './advance-composites.ts'
import type { Draft } from './draft.ts'
import { emitOf } from './draft.ts'
import { scopeOf } from './scope.ts'
import { fail, skip } from './end-step.ts'
import { finish } from './end-execution.ts'
import { judgeNeeds } from './judge-needs.ts'
import { runOfStep } from './run.ts'
import type { Run } from './run.ts'

/** Units of work after which a transition leaves the rest to the next one: some tens of milliseconds of expressions. */
export const MOST_WORK = 250_000

/** The same in step runs inside of maps and loops: as many rows are stored at once. */
const MOST_INSIDE = 500

/** Everything that can happen now, within bounds. */
export function advance(draft: Draft): void {
  if (draft.pauseReason !== null || draft.cancelReason !== null || draft.ending !== null) return
  const before = workSpent()
  let inside = 0
  const go: Go = (run) => {
    shareWork(() => begin(draft, run, 1))
    draft.more ||= ++inside >= MOST_INSIDE || workSpent() - before > MOST_WORK
    return !draft.more
  }
  do advanceSteps(draft, before)
  while (!draft.more && !isOver(draft) && advanceComposites(draft, go))
  if (!isOver(draft)) tellProgress(draft)
}

/**
 * One pass in topological order settles the steps of the definition: a step's needs stand before it.
 * Ends the execution when its last step has ended.
 */
function advanceSteps(draft: Draft, before: number): void {
  let open = 0
  for (const step of draft.from.program.steps) {
    if (isOver(draft)) return
    if (draft.steps.has(step.name)) continue
    if (workSpent() - before > MOST_WORK) {
      draft.more = true
      return
    }
    open++
    if (draft.inFlight.some((entry) => entry.path === step.name)) continue
    const verdict = judgeNeeds(draft.from.program, draft.steps, step.needs)
    if (verdict === 'wait') continue
    const run = runOfStep(step)
    if (verdict === 'run') shareWork(() => begin(draft, run, 1))
    else skip(draft, run, verdict.skip)
    if (draft.steps.has(step.name)) open--
  }
  if (open === 0 && !isOver(draft)) shareWork(() => finish(draft))
}

/** It has ended, or is only undone from here on. */
const isOver = (draft: Draft): boolean => hasEnded(draft.status) || draft.ending !== null

/** Begins an attempt; `attempt` > 1 is a retry. */
export function begin(draft: Draft, run: Run, attempt: number): void {
  const { step } = run
  if (step.when && attempt === 1) {
    const condition = step.when.evaluate(scopeOf(draft, run))
    if (!condition.ok) return fail(draft, run, { attempt, startedAt: null }, 'EXPRESSION_FAILED', `when: ${condition.message}`)
    if (!condition.value) return skip(draft, run, 'when is false')
  }
  emitOf(draft, run, 'step.started', { attempt })
  const { spec } = step
  switch (spec.type) {
    case 'transform':
      return beginTransform(draft, run, spec, attempt)
    case 'route':
      return beginRoute(draft, run, spec, attempt)
    case 'agent':
      return beginAgent(draft, run, spec, attempt)
    case 'notify':
      return beginNotify(draft, run, spec, attempt)
    case 'wait':
      return beginWait(draft, run, spec, attempt)
    case 'handler':
    case 'http':
    case 'query':
      // a world that knows no pools runs everything in place
      if (step.pool !== undefined && draft.world.pools) return beginPooled(draft, run, step.pool, attempt)
      return beginAct(draft, run, spec, attempt)
    case 'map':
      return beginMap(draft, run, spec, attempt)
    case 'loop':
      return beginLoop(draft, run, attempt)
    case 'flow':
      return beginFlow(draft, run, spec, attempt)
    case 'fail':
      return beginFail(draft, run, spec, attempt)
    case 'signal':
      return beginSignal(draft, run, spec, attempt)
    case 'approval':
      return beginApproval(draft, run, spec, attempt)
    default:
      spec satisfies never
  }
}
