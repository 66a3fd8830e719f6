/** Asks for the end of an execution, which comes at once or, when something still runs, within its fence (A10). */
import type { Execution } from '../../engine/entities/execution.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { controlExecution } from './control-execution.ts'
import type { ControlExecution } from './control-execution.ts'

/** Canceled by this call, or soon; an execution that has ended is an ILLEGAL_STATE. Problems: NOT_FOUND, VALIDATION, ILLEGAL_STATE. Throws FORBIDDEN. */
export function cancelExecution(call: Call, args: ControlExecution): Promise<Execution | Problem> {
  return controlExecution(call, 'cancel', args)
}
