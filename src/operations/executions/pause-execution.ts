/** Pauses an execution: what runs ends, nothing new begins (A16). */
import type { Execution } from '../../engine/entities/execution.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { controlExecution } from './control-execution.ts'
import type { ControlExecution } from './control-execution.ts'

/** Kept paused until `resumeExecution`. Problems: NOT_FOUND, VALIDATION, ILLEGAL_STATE. Throws FORBIDDEN. */
export function pauseExecution(call: Call, args: ControlExecution): Promise<Execution | Problem> {
  return controlExecution(call, 'pause', args)
}
