/** How schedules are paused, resumed and run by hand: visible, allowed, changed and audited in one transaction. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { queryIn } from '../../database/database.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { SCHEDULE_COLUMNS } from '../../triggers/schedule.ts'
import type { Schedule } from '../../triggers/schedule.ts'
import type { Call } from '../call.ts'
import { findFlowLevel } from '../flows/find-flow.ts'
import { mayOnFlow, requirePrincipal } from '../permissions.ts'
import { findSchedule } from './read-schedules.ts'
import { forbid } from '../refuse.ts'

export interface ScheduleChange {
  /** UUID of its trigger */
  id: string
  /** what the audit log says when it is done, and when it is refused */
  audit: { done: string; refused: string }
  /** for the audit log */
  metadata?: Record<string, unknown>
}

/** A schedule that the caller sees and may manage. Problems: NOT_FOUND. Throws FORBIDDEN. */
export async function requireSchedule(call: Call, { id, audit }: ScheduleChange): Promise<Schedule | Problem> {
  const schedule = await findSchedule(call, id)
  if (!schedule) return problem('NOT_FOUND')
  const { flowId } = schedule
  const level = await findFlowLevel(call, flowId)
  return mayOnFlow(requirePrincipal(call), 'MANAGE', { level }) ? schedule : forbid(call, { type: audit.refused, flowId })
}

const LOCK = `
select ${SCHEDULE_COLUMNS} from sluice.schedules s join sluice.triggers t on t.id = s.trigger_id
where t.id = $1 and t.removed_at is null for no key update of s`

/** `change` answers a problem before it has changed anything; `schedule`: as it is now. Problems: NOT_FOUND, those of `change`. */
export async function changeSchedule<T extends object>(
  call: Call,
  of: ScheduleChange,
  change: (em: EntityManager, schedule: Schedule) => Promise<T | Problem>,
): Promise<(T & { schedule: Schedule }) | Problem> {
  const seen = await requireSchedule(call, of)
  if (isProblem(seen)) return seen
  const { id, audit, metadata } = of
  return call.services.database.transaction(async (em) => {
    const [before] = await queryIn<Schedule>(em, LOCK, [id])
    if (!before) return problem('NOT_FOUND')
    const result = await change(em, before)
    if (isProblem(result)) return result
    const facts = { type: audit.done, flowId: before.flowId, metadata: { trigger: encodeId('trigger', id), ...metadata } }
    await recordAudit(em, auditEntry(call, facts))
    const [schedule] = await queryIn<Schedule>(em, LOCK, [id])
    return { ...result, schedule: schedule! }
  })
}
