/** Reads rows and seals of the audit log in the order of the chain. */
import type { Database } from '../database/database.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { Seal, SealedRow } from './seal.ts'

/** A place between rows: behind the one that is named. */
export interface ChainPlace {
  readonly xid: string
  readonly id: string
}

/** Before all rows. */
export const BEGINNING: ChainPlace = { xid: '0', id: '00000000-0000-0000-0000-000000000000' }

/** The place behind a seal. */
export const behind = (seal: Pick<Seal, 'ids' | 'lastXid'> | undefined): ChainPlace =>
  seal ? { xid: seal.lastXid, id: seal.ids.at(-1)! } : BEGINNING

type Query = Pick<Database, 'query'>

/** Seals behind `position`, at most `limit`, until they hold `rows` rows or more. */
export async function readSeals(database: Query, position: number, rows: number): Promise<Seal[]> {
  return database.query<Seal>(
    // one after the other, each an index look: a seal may hold a thousand ids, and what lies beyond is not read
    `with recursive walk as (
       (select s.*, 0::bigint as held from sluice.audit_seals s where s.position > $1 order by s.position limit 1)
       union all
       select n.*, w.held + cardinality(w.ids) from walk w
       cross join lateral (select * from sluice.audit_seals s where s.position > w.position order by s.position limit 1) n
       where w.held + cardinality(w.ids) < $2)
     select position, ids, last_xid::text as "lastXid", hash, sealed_at as "sealedAt" from walk order by position`,
    [position, rows],
  )
}

export async function readSeal(database: Query, position: number): Promise<Seal | undefined> {
  const [seal] = await database.query<Seal>(
    'select position, ids, last_xid::text as "lastXid", hash, sealed_at as "sealedAt" from sluice.audit_seals where position = $1',
    [position],
  )
  return seal
}

export async function readLastSeal(database: Query): Promise<Seal | undefined> {
  const [seal] = await database.query<Seal>(
    'select position, ids, last_xid::text as "lastXid", hash, sealed_at as "sealedAt" from sluice.audit_seals order by position desc limit 1',
  )
  return seal
}

/** Where the log begins; undefined: nothing of it was ever removed. As it is stored: nobody has looked at its signature. */
export async function readCheckpoint(database: Query): Promise<Checkpoint | undefined> {
  const [checkpoint] = await database.query<Checkpoint>(
    `select position, hash, last_id as "lastId", last_xid::text as "lastXid", sealed_at as "sealedAt", events, made_at as "madeAt", signature
     from sluice.audit_checkpoints order by position desc limit 1`,
  )
  return checkpoint
}

/** A row or a seal from before the log begins. */
export async function findBefore(
  database: Query,
  { position, lastXid, lastId }: Checkpoint,
): Promise<{ id: string } | undefined> {
  const [found] = await database.query<{ id: string }>(
    `select * from (select e.id from sluice.audit_events e where (e.xid, e.id) <= ($1::xid8, $2::uuid) order by e.xid, e.id limit 1) as row
     union all (select s.ids[1] from sluice.audit_seals s where s.position <= $3 order by s.position limit 1)`,
    [lastXid, lastId, position],
  )
  return found
}

const COLUMNS = `e.id, e.at, e.type, e.severity, e.actor_kind as "actorKind", e.actor_id as "actorId", e.flow_id as "flowId",
  e.execution_id as "executionId", e.success, e.duration_ms as "durationMs", e.tokens, e.error_code as "errorCode", e.metadata, e.ip,
  e.user_agent as "userAgent", e.mac, e.xid::text as xid`

interface StoredRow extends Omit<SealedRow, 'at'> {
  at: Date
}

/** Rows behind `after`, up to `to` and with it. */
export async function readRowsBetween(database: Query, after: ChainPlace, to: ChainPlace): Promise<SealedRow[]> {
  const rows = await database.query<StoredRow>(
    `select ${COLUMNS} from sluice.audit_events e
     where (e.xid, e.id) > ($1::xid8, $2::uuid) and (e.xid, e.id) <= ($3::xid8, $4::uuid) order by e.xid, e.id`,
    [after.xid, after.id, to.xid, to.id],
  )
  return rows.map(asSealedRow)
}

/**
 * The first rows behind `after`. `settled`: only those that no running transaction can still come in between of; they alone may be
 * sealed.
 */
export async function readRowsBehind(database: Query, after: ChainPlace, limit: number, settled: boolean): Promise<SealedRow[]> {
  const rows = await database.query<StoredRow>(
    `select ${COLUMNS} from sluice.audit_events e
     where (e.xid, e.id) > ($1::xid8, $2::uuid) and (not $4 or e.xid < pg_snapshot_xmin(pg_current_snapshot()))
     order by e.xid, e.id limit $3`,
    [after.xid, after.id, limit, settled],
  )
  return rows.map(asSealedRow)
}

const asSealedRow = (row: StoredRow): SealedRow => ({ ...row, at: row.at.toISOString() })
