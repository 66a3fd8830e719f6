/**
 * What must be done once to a database that came from a backup, before anything runs on it: nobody may go on as if nothing had happened.
 * `sluice restore` does it by itself; `sluice restored` is for a database that was restored by its own tools.
 */
import type { AuditKeys } from '../audit/audit-keys.ts'
import { readCheckpoint, readLastSeal } from '../audit/read-chain.ts'
import { auditEntry, recordAudit } from '../audit/record-audit.ts'
import type { KnownHead, SealedHead } from '../audit/sealed-head.ts'
import { openDatabase, queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { endAllSessions } from '../identity/sessions.ts'
import type { Logger } from '../log.ts'

export interface MarkRestoredOptions {
  /** of the role that owns the tables: the application may not say which installation this is */
  readonly ownerUrl: string
  readonly keys: AuditKeys
  /** what is remembered outside the database */
  readonly head: SealedHead
  /** the operator knows that the log ends earlier than it did */
  readonly shorterLog: boolean
  readonly log: Logger
}

export interface Restored {
  /** seals that are remembered and that the backup does not have; 0 = it ends where the original did */
  readonly lostSeals: number
  readonly endedSessions: number
  /** executions that were held by workers of then, and can be claimed now */
  readonly released: number
}

/** Throws with a sentence for the operator when it must not be done (yet). May be repeated. */
export async function markRestored(options: MarkRestoredOptions): Promise<Restored> {
  const { keys: auditKeys, head, shorterLog, log } = options
  const name = 'restored'
  const database = await openDatabase({ connection: options.ownerUrl, entities: [], poolSize: 2, log, name })
  try {
    await refuseWhileUsed(database)
    await refuseOlderTransactions(database)
    const end = await readEnd(database)
    const lostSeals = await countLost(database, await head.read(), end)
    if (lostSeals > 0 && !shorterLog) throw new Error(shorter(lostSeals, end))
    const restored = await database.transaction(async (em) => {
      await queryIn(em, 'update sluice.installation set id = gen_random_uuid(), restored_at = now()')
      const released = await queryIn(em, RELEASE)
      const done = { lostSeals, endedSessions: await endAllSessions(em), released: released.length }
      const facts = { type: 'database.restored', severity: 'WARNING', metadata: { ...done, throughSeal: end.position } } as const
      await recordAudit(em, auditEntry({ origin: {}, services: { database, auditKeys } }, facts, { kind: 'SYSTEM' }))
      return done
    })
    if (lostSeals > 0) await head.replace(end)
    return restored
  } finally {
    await database.close()
  }
}

/** Executions keep their owner: who takes over from it knows that its attempts may have run. */
const RELEASE = `
with over as (update sluice.workers set expires_at = now() - interval '1 second' where expires_at > now())
select e.id from sluice.executions e where e.owner is not null`

async function refuseWhileUsed(database: Database): Promise<void> {
  const [row] = await database.query<{ used: boolean }>(
    `select exists (select from pg_stat_activity
       where datname = current_database() and application_name ~ '^sluice(/[0-9]+| bus)?$') as used`,
  )
  if (row!.used) throw new Error('processes of Sluice use this database: stop them first')
}

/**
 * The log and the feeds go by PostgreSQL's numbers of transactions, which a dump does not bring along. `-e` of pg_resetwal takes the
 * upper half of the number: https://www.postgresql.org/docs/18/app-pgresetwal.html
 */
async function refuseOlderTransactions(database: Database): Promise<void> {
  const [row] = await database.query<{ epoch: string | null }>(
    // no aggregate: there is none of xid8 before PostgreSQL 16
    `select (div(xid::text::numeric, 4294967296) + 1)::text as epoch
     from (select xid from sluice.audit_events order by xid desc, id desc limit 1) newest
     where xid >= pg_snapshot_xmax(pg_current_snapshot())`,
  )
  if (!row) return
  throw new Error(
    `this cluster has counted fewer transactions than the one that the data comes from, as after pg_restore: stop PostgreSQL, run \`pg_resetwal --epoch=${row.epoch}\` on its data directory, start it, then do this again`,
  )
}

async function readEnd(database: Database): Promise<KnownHead> {
  const checkpoint = await readCheckpoint(database)
  const last = (await readLastSeal(database)) ?? checkpoint
  return { position: last?.position ?? 0, hash: last?.hash ?? Buffer.alloc(0), checkpoint: checkpoint?.position ?? 0 }
}

async function countLost(database: Database, known: KnownHead | undefined, end: KnownHead): Promise<number> {
  if (!known) return 0
  if (known.position > end.position) return known.position - end.position
  const [stored] = await database.query<{ same: boolean }>(
    'select hash = $2 as same from sluice.audit_seals where position = $1',
    [known.position, known.hash],
  )
  if (stored?.same === false)
    throw new Error(
      `seal ${known.position} of the audit log is not the one that is remembered: this is no backup of the same database`,
    )
  return 0
}

const shorter = (lost: number, { position }: KnownHead): string =>
  `the audit log ends at seal ${position}, and ${lost} more were made before the restore: what they held is lost. If it was you who restored an older state, say so with --shorter-log; it is written into the log.`
