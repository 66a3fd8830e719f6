/** Starts an execution of a schedule now, as if it were due: by the same policy, input and rights. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { hashOf } from '../../canonical-json.ts'
import { queryIn } from '../../database/database.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { newUuid } from '../../ids.ts'
import { insertFirings } from '../../triggers/fire-schedules.ts'
import type { Schedule } from '../../triggers/schedule.ts'
import type { Call } from '../call.ts'
import { changeSchedule } from './change-schedule.ts'
import { ArgumentCheck, MAX_KEY } from '../check-arguments.ts'
import { requirePrincipal } from '../permissions.ts'
import { readFiringsOf, readSchedules } from './read-schedules.ts'
import type { Firing } from './read-schedules.ts'

const AUDIT = { done: 'schedule.ranNow', refused: 'schedule.runRefused' }

export interface RunScheduleNow {
  /** UUID of its trigger */
  id: string
  idempotencyKey?: string | undefined
}

const KEEP_KEY = `
insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id) values ($1, 'runScheduleNow', $2, $3, $4)
on conflict do nothing returning subject_id`
const READ_KEY = `
select subject_id, input_hash from sluice.idempotency_keys where principal_id = $1 and operation = 'runScheduleNow' and key = $2`

/**
 * Where the policy lets nothing overlap it waits for what runs; `firing` says so. Also while the schedule is paused.
 * Problems: NOT_FOUND, VALIDATION, IDEMPOTENCY_MISMATCH. Throws FORBIDDEN.
 */
export async function runScheduleNow(
  call: Call,
  { id, idempotencyKey: key }: RunScheduleNow,
): Promise<{ schedule: Schedule; firing: Firing; replayed: boolean } | Problem> {
  const { database, scheduler } = call.services
  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], key, MAX_KEY)
  const principalId = requirePrincipal(call).actsAs
  const asked = await changeSchedule(call, { id, audit: AUDIT }, async (em) => {
    if (check.problem) return check.problem
    const executionId = newUuid()
    const before = key === undefined ? undefined : await takeKey(em, { principalId, key, triggerId: id, executionId })
    if (before) return before
    const firing = { triggerId: id, executionId, cause: 'ASKED_FOR', status: 'WAITING' } as const
    // a moment has one firing: when it was started in this very one, the next counts
    for (let scheduledFor = Math.floor(database.clock.now()); ; scheduledFor++)
      if ((await insertFirings(em, [{ ...firing, scheduledFor }])).length > 0) return { executionId, replayed: false }
  })
  if (isProblem(asked)) return asked
  await scheduler.startWaiting(id)
  const [firing] = await readFiringsOf(call, [asked.executionId])
  const [schedule] = await readSchedules(call, [id])
  return firing && schedule ? { schedule, firing, replayed: asked.replayed } : problem('NOT_FOUND')
}

interface Key {
  principalId: string
  key: string
  triggerId: string
  executionId: string
}

/** What an earlier call with this key did; undefined: this one is the first. */
async function takeKey(
  em: EntityManager,
  { principalId, key, triggerId, executionId }: Key,
): Promise<{ executionId: string; replayed: boolean } | Problem | undefined> {
  const inputHash = hashOf([triggerId])
  if ((await queryIn(em, KEEP_KEY, [principalId, key, inputHash, executionId])).length > 0) return undefined
  const [kept] = await queryIn<{ subject_id: string; input_hash: Buffer }>(em, READ_KEY, [principalId, key])
  if (kept?.input_hash.equals(inputHash)) return { executionId: kept.subject_id, replayed: true }
  return problem('IDEMPOTENCY_MISMATCH', { path: ['idempotencyKey'] })
}
