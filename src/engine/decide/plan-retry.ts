/**
 * What trying an execution again means for each step: its recorded output is used again, it runs again, or it is left out. Pure, and
 * judged by the very function that then runs it, so that the plan is what happens.
 */
import { predecessors } from '../../language/graph.ts'
import type { Program, ProgramStep } from '../../language/program.ts'
import type { EndedStepStatus } from '../states.ts'
import { judgeNeeds } from './judge-needs.ts'
import type { StepRecord } from './snapshot.ts'

/**
 * `REUSE`: what is recorded of it counts, it does not run. `RUN`: it begins at once. `MAY_RUN`: whether it runs depends on steps that
 * run before it, or on its `when`. `SKIP`: it does not run.
 */
export const RETRY_ACTIONS = ['REUSE', 'RUN', 'MAY_RUN', 'SKIP'] as const
export type RetryAction = (typeof RETRY_ACTIONS)[number]

export interface PlannedStep {
  name: string
  type: string
  action: RetryAction
  /** for people */
  why: string
}

/** How a step of the execution that is tried again ended. */
export interface EndedBefore {
  status: EndedStepStatus
  route?: string
  /** undoing it was begun: its output is not worth anything any more */
  undone?: boolean
  /** it is not the same step any more in the flow version that runs now */
  changed?: boolean
}

export interface RetryWish {
  /** this step runs again too, whatever came of it */
  from?: string | undefined
  /** nothing is reused */
  fromStart?: boolean | undefined
}

/** In topological order; `program` is the one that will run. */
export function planRetry(program: Program, before: ReadonlyMap<string, EndedBefore>, wish: RetryWish = {}): PlannedStep[] {
  /** what counts as ended when the execution begins: what is reused, and what is left out for certain */
  const settled = new Map<string, StepRecord>()
  const again = new Set<string>()
  return program.steps.map((step) => {
    const { name, spec } = step
    const told = (action: RetryAction, why: string): PlannedStep => ({ name, type: spec.type, action, why })
    const ended = before.get(name)
    const why = whyAgain(program, settled, again, step, ended, wish)
    if (!why && ended) {
      settled.set(name, { status: ended.status, attempt: 0, ...(ended.route !== undefined && { route: ended.route }) })
      if (ended.status === 'SKIPPED') return told('SKIP', 'It was skipped, and nothing that it depends on runs again.')
      return told('REUSE', ended.status === 'SUCCEEDED' ? 'It succeeded.' : 'It failed, and the flow went on.')
    }
    if (ended && passed(step, ended)) again.add(name)
    const verdict = judgeNeeds(program, settled, step.needs)
    if (typeof verdict === 'object') {
      settled.set(name, { status: 'SKIPPED', attempt: 0 })
      return told('SKIP', `It is left out: ${verdict.skip}.`)
    }
    const reason = why ?? 'It had not begun.'
    if (verdict === 'wait') return told('MAY_RUN', reason)
    return step.when ? told('MAY_RUN', `${reason} Its \`when\` decides.`) : told('RUN', reason)
  })
}

/** Others may have gone on from it. */
const passed = ({ onError }: ProgramStep, { status }: EndedBefore): boolean =>
  status === 'SUCCEEDED' || status === 'SKIPPED' || (status === 'FAILED' && onError !== undefined)

/** undefined: what is recorded of it counts. */
function whyAgain(
  program: Program,
  settled: ReadonlyMap<string, StepRecord>,
  again: ReadonlySet<string>,
  step: ProgramStep,
  ended: EndedBefore | undefined,
  { from, fromStart = false }: RetryWish,
): string | undefined {
  if (fromStart) return 'Everything runs again.'
  if (step.name === from) return 'It is where you want to begin.'
  if (!ended) return 'It had not begun.'
  if (ended.undone) return 'It was undone.'
  if (ended.changed) return 'It is defined differently now.'
  if (ended.status === 'CANCELED') return 'It was stopped before it ended.'
  if (!passed(step, ended)) return 'It failed.'
  // what it may have looked at is not what it was
  const first = [...predecessors(step.needs)].find((name) => again.has(name))
  if (first !== undefined) return `It follows ${first}, which does not count as it was.`
  const verdict = judgeNeeds(program, settled, step.needs)
  if (verdict === 'wait' || (verdict !== 'run' && ended.status !== 'SKIPPED')) return 'It follows steps that run again.'
  return undefined
}
