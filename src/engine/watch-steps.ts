/** What of the engine's work may need attention (D7): steps and executions that fail, by flow. Told after the commit, at no cost to what is well. */
import type { SecurityKind, Subject } from '../audit/security-kinds.ts'
import type { EventRow } from './decide/draft.ts'
import type { RunningEngine } from './create-engine.ts'

type Count = (kind: SecurityKind, subjects: readonly Subject[]) => void

const FAILURES: ReadonlySet<EventRow['type']> = new Set([
  'step.failed',
  'step.retrying',
  'execution.failed',
  'execution.timedOut',
])
/** A `fail` step does what its flow wants. */
const WANTED = 'FLOW_FAILED'

/** To be called once, before the engine runs. */
export function watchSteps(engine: RunningEngine, count: Count): void {
  const before = engine.worker.onTransition
  engine.worker.onTransition = (transition) => {
    before?.(transition)
    for (const event of transition.events) {
      if (!FAILURES.has(event.type)) continue
      const code = codeOf(event)
      if (code === WANTED) continue
      const flow: Subject[] = [{ kind: 'FLOW', id: transition.next.flowId }]
      if (event.type.startsWith('execution.')) {
        count('FAILING_EXECUTIONS', flow)
        continue
      }
      count('FAILING_STEPS', flow)
      if (code === 'HANDLER_CRASHED') count('HANDLER_CRASHES', flow)
      if (code === 'RESOURCE_EXCEEDED') count('RESOURCES_EXCEEDED', flow)
      if (code === 'POISONED') count('POISONED_STEPS', flow)
    }
  }
}

const codeOf = ({ data }: EventRow): string | undefined => (data as { error?: { code?: string } } | undefined)?.error?.code
