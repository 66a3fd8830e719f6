/** How cancel, pause and resume go: visible, allowed, a reason that can be kept, then the engine's word. */
import { auditEntry } from '../../audit/record-audit.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Execution } from '../../engine/entities/execution.ts'
import { isProblem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { actorId } from '../actor-id.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck, MAX_REASON } from '../check-arguments.ts'
import { getExecution } from './get-execution.ts'
import { mayControlExecution, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface ControlExecution {
  /** UUID */
  id: string
  /** kept with the execution, for people */
  reason?: string | undefined
}

/** What the audit log says when it is done, and when it is refused. */
const AUDIT = {
  cancel: { done: 'execution.cancelRequested', refused: 'execution.cancelRefused' },
  pause: { done: 'execution.paused', refused: 'execution.pauseRefused' },
  resume: { done: 'execution.resumed', refused: 'execution.resumeRefused' },
} as const satisfies Partial<Record<keyof Engine, unknown>>

/** The execution as it is afterwards. Problems: NOT_FOUND, VALIDATION, ILLEGAL_STATE. Throws FORBIDDEN. */
export async function controlExecution(
  call: Call,
  verb: keyof typeof AUDIT,
  { id, reason }: ControlExecution,
): Promise<Execution | Problem> {
  const execution = await getExecution(call, id)
  if (isProblem(execution)) return execution
  const { flowId } = execution
  const about = { executionId: id, flowId }
  if (!mayControlExecution(requirePrincipal(call), execution)) return forbid(call, { type: AUDIT[verb].refused, ...about })

  const check = new ArgumentCheck()
  check.text(['reason'], reason, MAX_REASON)
  if (check.problem) return check.problem

  const done = await orderControl(call, verb, execution, reason)
  return isProblem(done) ? done : getExecution(call, id)
}

/** Of an execution that the caller may control. */
export function orderControl(
  call: Call,
  verb: keyof typeof AUDIT,
  { id, flowId }: Pick<Execution, 'id' | 'flowId'>,
  reason: string | undefined,
): Promise<{ executionId: string } | Problem> {
  const audit = [auditEntry(call, { type: AUDIT[verb].done, executionId: id, flowId })]
  const by = actorId(requirePrincipal(call))
  return call.services.engine[verb]({ executionId: id, by, ...(reason && { reason }), audit })
}
