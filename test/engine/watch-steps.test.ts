/** What of an engine's transitions is counted: failures of attempts, by flow, and no more than once for each. */
import { expect, test } from 'vitest'
import type { RunningEngine } from '../../src/engine/create-engine.ts'
import type { Transition } from '../../src/engine/decide/draft.ts'
import { watchSteps } from '../../src/engine/watch-steps.ts'

const event = (type: string, code?: string) => ({ type, seq: 1, at: 0, ...(code && { data: { error: { code, message: '' } } }) })

test('failures and retries are counted for their flow, of executions too, crashes and poison apart; what a flow wants is not (D7)', () => {
  const seen: Transition[] = []
  const worker: Pick<RunningEngine['worker'], 'onTransition'> = { onTransition: (transition) => seen.push(transition) }
  const counted: string[] = []
  watchSteps({ worker } as RunningEngine, (kind, [subject]) => counted.push(`${kind} ${subject?.kind} ${subject?.id}`))
  const transition = {
    next: { flowId: 'a-flow' },
    events: [
      event('step.started'),
      event('step.succeeded'),
      event('step.retrying', 'TIMEOUT'),
      event('step.failed', 'HANDLER_CRASHED'),
      event('step.failed', 'POISONED'),
      event('step.failed', 'FLOW_FAILED'),
      event('execution.failed', 'FLOW_FAILED'),
      event('execution.failed', 'POISONED'),
      event('execution.timedOut'),
      event('execution.canceled'),
    ],
  } as unknown as Transition
  worker.onTransition!(transition)
  expect(seen).toEqual([transition])
  expect(counted).toEqual(
    [
      ...['FAILING_STEPS', 'FAILING_STEPS', 'HANDLER_CRASHES', 'FAILING_STEPS', 'POISONED_STEPS'],
      ...['FAILING_EXECUTIONS', 'FAILING_EXECUTIONS'],
    ].map((kind) => `${kind} FLOW a-flow`),
  )
})
