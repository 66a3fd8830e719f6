/** What must be true of what is stored, as statements that find where it is not: over a batch of executions or of slots each. */

export const INVARIANTS = ['SLOT_WITHOUT_HOLDER', 'CHILD_OF_ENDED_PARENT', 'WAIT_WITHOUT_WAKER'] as const
export type Invariant = (typeof INVARIANTS)[number]

/** UUIDs. */
export interface Breach {
  invariant: Invariant
  /** whose slot it is, which child it is, or who waits */
  executionId: string
  repair: 'freeSlot' | 'cancelChild' | 'tellEnd' | 'wake' | 'askForSlot'
  /** the parent that has ended, or the child that has */
  otherId: string | null
}

/** Those that have not ended, by status and id: what `ACTIVE_TEXT` walks. */
export const ACTIVE_STATUSES = ['PENDING', 'RUNNING', 'WAITING', 'PAUSED'] as const

export const ACTIVE_TEXT = 'select id from sluice.executions where status = $1 and id > $2 order by id limit $3'

/** A child of an ended parent has been told in the parent's own transaction; one that was about to be started then is told when it is claimed. */
const GRACE = `interval '5 seconds'`

/**
 * Of these executions. A word that is unread, or a cancel that was asked for, is on its way: no breach. Each statement sees one moment, and
 * whatever belongs together is committed together.
 */
export const BREACHES_TEXT = `
  select 'CHILD_OF_ENDED_PARENT' as invariant, c.id as "executionId", 'cancelChild' as repair, c.parent_id as "otherId"
  from sluice.executions c left join sluice.executions p on p.id = c.parent_id
  where c.id = any($1::uuid[]) and c.parent_id is not null and c.ended_at is null and c.cancel_reason is null and c.ending is null
    and (p.id is null or p.ended_at < now() - ${GRACE}) and c.created_at < now() - ${GRACE}
    and not exists (select from sluice.inbox i where i.execution_id = c.id and i.kind = 'cancel')
  union all
  select 'WAIT_WITHOUT_WAKER', e.id, 'wake', null::uuid from sluice.executions e
  where e.id = any($1::uuid[]) and e.status = 'WAITING' and e.wake_at is null
  union all
  select 'WAIT_WITHOUT_WAKER', e.id, 'askForSlot', null from sluice.executions e
  where e.id = any($1::uuid[]) and e.status = 'PENDING' and e.wake_at >= '9999-12-31Z'
    and not exists (select from sluice.slots s where s.execution_id = e.id and s.held_at is null)
  union all
  select 'WAIT_WITHOUT_WAKER', e.id, 'tellEnd', c.id
  from sluice.executions e cross join lateral jsonb_array_elements(e.in_flight) as f
  join sluice.executions c on c.id = (f ->> 'childId')::uuid
  where e.id = any($1::uuid[]) and e.ended_at is null and f ->> 'kind' = 'child' and c.ended_at < now() - ${GRACE}
    and not exists (select from sluice.inbox i where i.execution_id = e.id and i.key = 'ended/' || c.id)`

export const SLOTS_TEXT = 'select execution_id as id from sluice.slots where execution_id > $1 order by execution_id limit $2'

/** Of the slots of these executions. */
export const SLOT_BREACHES_TEXT = `
  select 'SLOT_WITHOUT_HOLDER' as invariant, s.execution_id as "executionId", 'freeSlot' as repair, null::uuid as "otherId"
  from sluice.slots s left join sluice.executions e on e.id = s.execution_id
  where s.execution_id = any($1::uuid[]) and (e.id is null or e.ended_at is not null)`
