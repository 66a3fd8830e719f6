/** Lets a paused schedule go on, from now: the times that passed meanwhile are left out; `backfillSchedule` starts them. */
import { queryIn } from '../../database/database.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { specOf } from '../../language/triggers/schedule.ts'
import { nextAfter } from '../../triggers/due-times.ts'
import type { Schedule } from '../../triggers/schedule.ts'
import type { Call } from '../call.ts'
import { changeSchedule } from './change-schedule.ts'

const AUDIT = { done: 'schedule.resumed', refused: 'schedule.resumeRefused' }

const RESUME = `
update sluice.schedules set paused_at = null, paused_by = null, pause_reason = null, next_for = $2, next_at = $3, version = version + 1
where trigger_id = $1`

/** `id`: of its trigger. Problems: NOT_FOUND, ILLEGAL_STATE (it is not paused). Throws FORBIDDEN. */
export async function resumeSchedule(call: Call, { id }: { id: string }): Promise<{ schedule: Schedule } | Problem> {
  const { database, scheduler } = call.services
  const resumed = await changeSchedule(call, { id, audit: AUDIT }, async (em, { pausedAt, definition }) => {
    if (!pausedAt) return problem('ILLEGAL_STATE', { message: 'It is not paused.' })
    const next = nextAfter({ id, spec: specOf(definition) }, database.clock.now())
    await queryIn(em, RESUME, [id, next && new Date(next.nextFor), next && new Date(next.nextAt)])
    return {}
  })
  if (!isProblem(resumed)) scheduler.wake()
  return resumed
}
