/** Lets a paused execution go on (A16). */
import type { Execution } from '../../engine/entities/execution.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { controlExecution } from './control-execution.ts'
import type { ControlExecution } from './control-execution.ts'

/** One that is not paused is an ILLEGAL_STATE. Problems: NOT_FOUND, VALIDATION, ILLEGAL_STATE. Throws FORBIDDEN. */
export function resumeExecution(call: Call, args: ControlExecution): Promise<Execution | Problem> {
  return controlExecution(call, 'resume', args)
}
