/** Warnings about limits that a flow may wait for by itself: it holds a slot while a flow that it calls needs one of the same. */
import type { Definition } from './definition.ts'
import type { IssueList } from './issue-list.ts'
import type { StepDefinition } from './steps/step-types.ts'

const WHAT_HAPPENS = {
  queue: 'it holds a slot and waits for an execution that waits for one',
  refuse: 'it holds a slot, so what it starts may be refused one',
  cancelOlder: 'what it starts may take its slot, and cancel it',
} as const

/** Which flows others call is not known here: only that it calls itself. */
export function warnAboutSlots({ name, concurrency, steps }: Definition, warnings: IssueList): void {
  if (!concurrency) return
  const { max, key, onLimit = 'queue' } = concurrency
  const bound = max === 1 ? 'one slot' : `${max} slots`
  const shared = key === undefined ? `all executions of the flow share ${bound}` : `executions with the same key share ${bound}`
  for (const [step, path] of Object.entries(steps).flatMap(([name, step]) => callsIn(step, ['steps', name]))) {
    // the name of somebody else's flow has their handle before it; whose this is, is not known either
    if (step.type !== 'flow' || step.flow.split('/').at(-1) !== name) continue
    const message = `${WHAT_HAPPENS[onLimit]}: ${shared}`
    warnings.add('DEADLOCK', [...path, 'flow'], message, 'call a flow without this limit, or give it a key that differs')
  }
}

/** The step itself, and those inside of it, with their paths. */
function callsIn(step: StepDefinition, path: readonly string[]): [StepDefinition, readonly string[]][] {
  const inner = 'step' in step ? callsIn(step.step as unknown as StepDefinition, [...path, 'step']) : []
  return [[step, path], ...inner]
}
