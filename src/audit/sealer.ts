/** Seals the audit log: within a second of their commit, rows become part of the chain. One process does it at a time. */
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import type { AuditKeys } from './audit-keys.ts'
import { checkCheckpoint } from './checkpoint.ts'
import { behind, readCheckpoint, readLastSeal, readRowsBehind, readSeal } from './read-chain.ts'
import { makeSeal } from './seal.ts'
import type { Head, Seal } from './seal.ts'
import { createSealBacklog } from './seal-backlog.ts'
import type { SealedHead } from './sealed-head.ts'

/** Any constant: who seals holds this lock. */
const SEALER_LOCK = 7_312_021
const EVERY_MS = 500
const MAX_ROWS = 1_000

export interface SealerOptions {
  database: Database
  keys: AuditKeys
  head: SealedHead
  log: Logger
  /** told of each seal that this process made, once it is stored */
  onSealed?: (position: number) => void
  /** ms, `performance.now` outside of tests */
  monotonic?: () => number
}

export interface Sealer {
  start(): void
  /** Seals what is there, then ends. */
  stop(): Promise<void>
  /** Seals what can be sealed now; how many rows. */
  runOnce(): Promise<number>
  /** ms: for how long the first row that is not sealed has waited, as this process saw it */
  readonly unsealedMs: number
}

export function createSealer({ database, keys, head, log, onSealed, monotonic }: SealerOptions): Sealer {
  const backlog = createSealBacklog(log, monotonic)
  const loop = createLoop({
    name: 'sealing the audit log',
    log,
    async runOnce() {
      await runOnce()
      return EVERY_MS
    },
  })

  async function runOnce(): Promise<number> {
    let sealed = 0
    for (;;) {
      const seal = await sealNext()
      if (!seal) return sealed
      onSealed?.(seal.position)
      if (await goesOn(seal)) await head.remember(seal)
      sealed += seal.ids.length
      if (seal.ids.length < MAX_ROWS) return sealed
    }
  }

  /** Whether the remembered end is still in the log. If not, it stays remembered: it is what shows the cut. */
  async function goesOn(seal: Seal): Promise<boolean> {
    const known = await head.read()
    return !known || (known.position < seal.position && (await isStored(known)))
  }

  async function isStored(known: Head): Promise<boolean> {
    const stored = await readSeal(database, known.position)
    const same = stored ? Buffer.compare(stored.hash, known.hash) === 0 : await wasRemoved(known)
    if (!same) log.fatal(`the audit log was cut: its end, seal ${known.position}, is not there`)
    return same
  }

  /** By retention, that is: what it left says so. */
  async function wasRemoved({ position }: Head): Promise<boolean> {
    const checkpoint = await readCheckpoint(database)
    return checkpoint !== undefined && checkpoint.position >= position && !checkCheckpoint(keys, checkpoint)
  }

  /** undefined: nothing to seal, or somebody else is at it. */
  async function sealNext(): Promise<Seal | undefined> {
    const [found] = await database.query<{ oldest: string | null }>(WAITING)
    backlog.look(found?.oldest ?? undefined)
    if (!found?.oldest) return undefined
    return database.transaction(async (em) => {
      const inside = { query: <Row>(text: string, params?: readonly unknown[]) => queryIn<Row>(em, text, params) }
      const [lock] = await inside.query<{ mine: boolean }>('select pg_try_advisory_xact_lock($1) as mine', [SEALER_LOCK])
      if (!lock?.mine) {
        backlog.blocked(`another session holds the sealer's lock (advisory ${SEALER_LOCK} in pg_locks)`)
        return undefined
      }
      const last = await readLastSeal(inside)
      const rows = await readRowsBehind(inside, behind(last), MAX_ROWS, true)
      if (rows.length === 0) {
        backlog.blocked(
          'a transaction that has been open since before is still open (the oldest backend_xid in pg_stat_activity)',
        )
        return undefined
      }
      const seal = makeSeal(keys, last, rows, new Date(Math.floor(database.clock.now())))
      await inside.query(
        'insert into sluice.audit_seals (position, ids, last_xid, hash, sealed_at) values ($1, $2, $3, $4, $5)',
        [...[seal.position, seal.ids, seal.lastXid, seal.hash, seal.sealedAt]],
      )
      return seal
    })
  }

  return {
    start: loop.start,
    async stop() {
      await loop.stop()
      // what is left is sealed by the next start
      await runOnce().catch((error: unknown) => log.warn({ err: error }, 'the end of the audit log is not sealed yet'))
    },
    runOnce,
    get unsealedMs() {
      return backlog.waitsMs
    },
  }
}

// Not by `exists`, which knows no order: the whole log would be read from its beginning, since a third of it is taken to be new.
const WAITING = `
  with last as (select last_xid, ids from sluice.audit_seals order by position desc limit 1)
  select (
    select e.id from sluice.audit_events e
    where (e.xid, e.id) > (coalesce((select last_xid from last), '0'), coalesce((select ids[cardinality(ids)] from last), '00000000-0000-0000-0000-000000000000'))
    order by e.xid, e.id limit 1
  ) as oldest`
