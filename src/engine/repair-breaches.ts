/** Mends what breaches an invariant: never by deciding for an execution, only by what makes it decide itself. Each with its audit row. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { auditEntry, recordAudit } from '../audit/record-audit.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { isProblem } from '../errors.ts'
import { newUuid } from '../ids.ts'
import type { JsonObject } from '../language/values.ts'
import type { Engine } from './engine.ts'
import type { Breach } from './find-breaches.ts'
import { slotOf } from './slots.ts'

export interface RepairOptions {
  database: Database
  auditKeys: Pick<AuditKeys, 'sign'>
  program: Engine['program']
}

/** Each statement changes nothing where it is mended already: two monitors do no harm. */
const REPAIRS: Record<Exclude<Breach['repair'], 'askForSlot'>, string> = {
  freeSlot: `
    with gone as (
      delete from sluice.slots s where s.execution_id = $1
        and not exists (select from sluice.executions e where e.id = s.execution_id and e.ended_at is null)
        and $2::uuid is null returning s.flow_id, s.key)
    select h.* from gone g, sluice.hand_over_slots(array[g.flow_id], array[g.key]) h`,
  cancelChild: `
    insert into sluice.inbox (execution_id, key, sender_id, kind, body)
    values ($1, 'cancel/' || $2::uuid, $2::uuid, 'cancel', '{"reason":"The execution that started it has ended."}')
    on conflict do nothing returning key`,
  tellEnd: `
    insert into sluice.inbox (execution_id, key, sender_id, kind, body)
    select $1, 'ended/' || c.id, c.id, 'childEnded',
      json_build_object('childId', c.id, 'status', c.status, 'reason', c.reason, 'error', c.error)
    from sluice.executions c where c.id = $2 on conflict do nothing returning key`,
  wake: `
    update sluice.executions set wake_at = now(), version = version + 1
    where id = $1 and status = 'WAITING' and wake_at is null and $2::uuid is null returning id`,
}

/** Whether there was anything left to mend. */
export async function repairBreach(options: RepairOptions, breach: Breach): Promise<boolean> {
  const { invariant, executionId, repair, otherId } = breach
  return options.database.transaction(async (em) => {
    const mended =
      repair === 'askForSlot'
        ? await askAgain(em, options, executionId)
        : (await queryIn(em, REPAIRS[repair], [executionId, otherId])).length > 0
    if (!mended) return false
    await queryIn(em, 'insert into sluice.repairs (id, invariant, execution_id) values ($1, $2, $3)', [
      newUuid(),
      invariant,
      executionId,
    ])
    const facts = { type: 'invariant.repaired', severity: 'WARNING', executionId, metadata: { invariant } } as const
    await recordAudit(em, auditEntry({ origin: {}, services: options }, facts, { kind: 'SYSTEM' }))
    return true
  })
}

/** It waits for a slot that nobody knows of: it asks as it did when it was started, or begins if its flow has no limit any more. */
async function askAgain(em: EntityManager, { program }: RepairOptions, executionId: string): Promise<boolean> {
  const [row] = await queryIn<Asking>(
    em,
    `select e.flow_id, e.flow_version_id, e.priority, i.body as input from sluice.executions e
     join sluice.execution_inputs i on i.execution_id = e.id
     where e.id = $1 and e.status = 'PENDING' and e.wake_at >= '9999-12-31Z' for no key update of e`,
    [executionId],
  )
  if (!row) return false
  const compiled = await program(row.flow_version_id)
  const slot = isProblem(compiled) ? undefined : slotOf(compiled, row.input)
  if (slot?.ok && slot.value) {
    const { key, hidden, most, onLimit } = slot.value
    await queryIn(
      em,
      `insert into sluice.slots (execution_id, flow_id, key, hidden, most, cancels_older, priority, due_at)
       values ($1, $2, $3, $4, $5, $6, $7, now()) on conflict (execution_id) do update set held_at = null`,
      [executionId, row.flow_id, key, hidden, most, onLimit === 'cancelOlder', row.priority],
    )
  } else await queryIn(em, 'update sluice.executions set wake_at = null, version = version + 1 where id = $1', [executionId])
  return true
}

interface Asking {
  flow_id: string
  flow_version_id: string
  priority: number
  input: JsonObject
}
