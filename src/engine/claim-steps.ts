/** Claims steps that wait for a worker of their pool; the text of the function is claim-steps.sql beside it. */
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'

/** `epoch`: of this claim, one higher than that of the one before. */
export interface ClaimedStep {
  execution_id: string
  path: string
  attempt: number
  epoch: number
  initiator_id: string
  /** for which it was claimed */
  pool: string
}

export interface StepClaim {
  worker: string
  pool: string
  wanted: number
  /** where the walk over initiators goes on */
  afterInitiator: string | null
}

const CLAIM_TEXT = prepared(
  'select execution_id, path, attempt, epoch, initiator_id, $4::text as pool from sluice.claim_steps($1, $2, $3, $4)',
)

/** At most `wanted` of the pool; [] also when the worker's lease is over. */
export function claimSteps(database: Database, { worker, pool, wanted, afterInitiator }: StepClaim): Promise<ClaimedStep[]> {
  return database.query<ClaimedStep>(CLAIM_TEXT, [worker, wanted, afterInitiator, pool])
}

/** Those of `paths` that `worker` has, as if it took them over from itself. */
export function reclaimSteps(database: Database, worker: string, steps: readonly ClaimedStep[]): Promise<ClaimedStep[]> {
  return database.query<ClaimedStep>(
    `update sluice.pooled_steps s set epoch = s.epoch + 1 from unnest($2::uuid[], $3::text[]) as w(execution_id, path)
     where s.execution_id = w.execution_id and s.path = w.path and s.owner = $1
     returning s.execution_id, s.path, s.attempt, s.epoch, s.initiator_id, s.pool`,
    [worker, steps.map((step) => step.execution_id), steps.map(({ path }) => path)],
  )
}

/** What a worker has, as stored; `stops`: its execution was canceled. */
export function readOwnSteps(database: Database, worker: string): Promise<(ClaimedStep & { stops: boolean })[]> {
  return database.query(
    `select s.execution_id, s.path, s.attempt, s.epoch, s.initiator_id, s.pool, e.cancel_reason is not null and e.ending is null as stops
     from sluice.pooled_steps s left join sluice.executions e on e.id = s.execution_id where s.owner = $1`,
    [worker],
  )
}

/** Has the steps of paused executions. */
const NOBODY = '00000000-0000-0000-0000-000000000000'

/** A claim that came to nothing: others may have it, unless it is paused, or, when its execution does not wait for it, the row goes. Unless somebody else has it by now. */
export async function giveUpStep(database: Database, worker: string, step: ClaimedStep): Promise<void> {
  await database.query(
    `with mine as (
      select s.execution_id, s.path, coalesce(e.in_flight @>
        jsonb_build_array(jsonb_build_object('kind', 'pooled', 'path', s.path, 'attempt', s.attempt)), false) as wanted,
        case when e.pause_reason is not null and e.in_flight @>
          jsonb_build_array(jsonb_build_object('path', s.path, 'epoch', 0)) then $6::uuid end as next_owner
      from sluice.pooled_steps s left join sluice.executions e on e.id = s.execution_id
      where s.execution_id = $1 and s.path = $2 and s.owner = $3 and s.epoch = $4 and s.attempt = $5 for update of s),
    left_to_others as (
      update sluice.pooled_steps s set owner = mine.next_owner from mine where s.execution_id = mine.execution_id and s.path = mine.path and mine.wanted)
    delete from sluice.pooled_steps s using mine where s.execution_id = mine.execution_id and s.path = mine.path and not mine.wanted`,
    [step.execution_id, step.path, worker, step.epoch, step.attempt, NOBODY],
  )
}
