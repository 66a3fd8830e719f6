/** Outputs that are given again (C5): the newest execution of a flow version with this input, for the same person or agent alone. */
import type { Database } from '../../database/database.ts'
import { prepared } from '../../database/prepared.ts'
import { together } from '../../database/together.ts'
import type { Idempotency } from '../../engine/engine.ts'

export interface CacheKey {
  flowVersionId: string
  principalId: string
  inputHash: Buffer
}

export interface CacheQuestion extends CacheKey {
  /** how long ago it may have ended */
  ttlMs: number
}

/**
 * The execution that succeeded not longer ago, if there is one. Permission has been checked. With an idempotency key, only when the key is
 * new: it then names this execution for good, whatever becomes of the cache.
 */
export async function findCached(
  database: Database,
  question: CacheQuestion,
  idempotency?: Idempotency,
): Promise<string | undefined> {
  const executionId = await lookOn(database)(question)
  if (executionId === undefined || !idempotency) return executionId
  const { principalId, key, inputHash } = idempotency
  const taken = await database.query(TAKE_KEY, [principalId, key, inputHash, executionId])
  return taken.length > 0 ? executionId : undefined
}

/** It will answer the same question once it has succeeded. */
export async function rememberResult(database: Database, key: CacheKey, executionId: string): Promise<void> {
  const { flowVersionId, principalId, inputHash } = key
  // it has been started: that its output is not found again is no reason to say that it has not
  await database.query(REMEMBER, [flowVersionId, principalId, inputHash, executionId]).catch(() => undefined)
}

const LOOKS = new WeakMap<Database, (question: CacheQuestion) => Promise<string | undefined>>()

/** Questions that come at once are one statement. */
function lookOn(database: Database): (question: CacheQuestion) => Promise<string | undefined> {
  let look = LOOKS.get(database)
  if (!look) LOOKS.set(database, (look = together((questions) => lookForAll(database, questions))))
  return look
}

async function lookForAll(database: Database, questions: readonly CacheQuestion[]): Promise<(string | undefined)[]> {
  const rows = await database.query<{ place: number; id: string }>(FIND, [
    questions.map(({ flowVersionId }) => flowVersionId),
    questions.map(({ principalId }) => principalId),
    questions.map(({ inputHash }) => inputHash),
    questions.map(({ ttlMs }) => ttlMs),
  ])
  const byPlace = new Map(rows.map(({ place, id }) => [Number(place), id]))
  return questions.map((_, place) => byPlace.get(place + 1))
}

const FIND = prepared(`
  select q.place, e.id
  from unnest($1::uuid[], $2::uuid[], $3::bytea[], $4::float8[]) with ordinality as q(version, principal, hash, ttl, place)
  join sluice.cached_results c on c.flow_version_id = q.version and c.principal_id = q.principal and c.input_hash = q.hash
  -- one that moved to another version does not answer for this one
  join sluice.executions e on e.id = c.execution_id and e.flow_version_id = c.flow_version_id
  where e.status = 'SUCCEEDED' and e.ended_at > clock_timestamp() - make_interval(secs => q.ttl / 1000)`)

const REMEMBER = `
  insert into sluice.cached_results (flow_version_id, principal_id, input_hash, execution_id) values ($1, $2, $3, $4)
  on conflict (flow_version_id, principal_id, input_hash) do update set execution_id = excluded.execution_id`

const TAKE_KEY = `
  insert into sluice.idempotency_keys (principal_id, operation, key, input_hash, subject_id)
  values ($1, 'startExecution', $2, $3, $4) on conflict do nothing returning key`
