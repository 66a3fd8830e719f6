/** Pauses a schedule: until it is resumed nothing is scheduled, and what waits is not started. */
import { queryIn } from '../../database/database.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Schedule } from '../../triggers/schedule.ts'
import type { Call } from '../call.ts'
import { changeSchedule } from './change-schedule.ts'
import { ArgumentCheck, MAX_REASON } from '../check-arguments.ts'
import { requirePrincipal } from '../permissions.ts'

const AUDIT = { done: 'schedule.paused', refused: 'schedule.pauseRefused' }

const PAUSE = `
update sluice.schedules set paused_at = now(), paused_by = $2, pause_reason = $3, next_for = null, next_at = null, version = version + 1
where trigger_id = $1`

const LEAVE_OUT = `
update sluice.schedule_firings set status = 'SKIPPED', reason = 'The schedule was paused.' where trigger_id = $1 and status = 'WAITING'`

/** `id`: of its trigger. Problems: NOT_FOUND, VALIDATION, ILLEGAL_STATE (it is paused). Throws FORBIDDEN. */
export async function pauseSchedule(
  call: Call,
  { id, reason }: { id: string; reason?: string | undefined },
): Promise<{ schedule: Schedule } | Problem> {
  const check = new ArgumentCheck()
  check.text(['reason'], reason, MAX_REASON)
  const { actsAs } = requirePrincipal(call)
  return changeSchedule(call, { id, audit: AUDIT }, async (em, { pausedAt }) => {
    if (check.problem) return check.problem
    if (pausedAt) return problem('ILLEGAL_STATE', { message: 'It is paused already.' })
    await queryIn(em, PAUSE, [id, actsAs, reason ?? null])
    await queryIn(em, LEAVE_OUT, [id])
    return {}
  })
}
