/**
 * Removes the oldest part of the audit log, by whole seals: verified first, written to an archive if there is one, and replaced by a
 * signed checkpoint. What is broken stays: it is evidence. The text of the function is remove-audit-prefix.sql beside it.
 */
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import type { AuditKeys } from './audit-keys.ts'
import { checkCheckpoint, makeCheckpoint } from './checkpoint.ts'
import type { Checkpoint } from './checkpoint.ts'
import { checkExport, exportAudit } from './export-audit.ts'
import { readCheckpoint, readLastSeal, readSeals } from './read-chain.ts'
import { auditEntry, recordAudit } from './record-audit.ts'
import type { Break, Seal } from './seal.ts'
import type { SealedHead } from './sealed-head.ts'

/** Rows of one transaction and of one file in the archive, roughly: seals go whole. */
const ROWS_AT_A_TIME = 5_000
/** It goes by days, so that there is one checkpoint a day instead of one after each seal. */
const DAY_MS = 86_400_000
/** Times in the log and the database's own may be so far apart. */
const SKEW_MS = 60_000

export interface ShortenOptions {
  database: Database
  keys: AuditKeys
  head: SealedHead
  log: Logger
  /** where what is removed is written to before; none = it is not */
  archiveDir?: string | undefined
  /** asked between transactions; false */
  isStopping?(): boolean
  rowsAtATime?: number
}

/** How many rows were removed. */
export async function shortenAudit(options: ShortenOptions): Promise<number> {
  const { database, keys, head, isStopping = () => false, rowsAtATime = ROWS_AT_A_TIME } = options
  let removed = 0
  for (let began = false; !isStopping(); began = true) {
    const checkpoint = await readCheckpoint(database)
    const wrong = checkpoint && checkCheckpoint(keys, checkpoint)
    if (checkpoint && !wrong) await head.rememberCheckpoint(checkpoint)
    const seals = await findOld(database, checkpoint, rowsAtATime, began ? 0 : DAY_MS)
    if (seals.length === 0) return removed
    const isOvertaken = async (): Promise<boolean> => (await readCheckpoint(database))?.position !== checkpoint?.position
    const broken = wrong ?? (await verifyAndArchive(options, checkpoint, seals).catch((error: Error) => error))
    if (broken) {
      // another process is at it, and goes on
      if (await isOvertaken()) return removed
      if (broken instanceof Error) throw broken
      await tellBroken(options, broken)
      return removed
    }
    const count = await remove(options, checkpoint, seals)
    if (count === undefined) return removed
    removed += count
  }
  return removed
}

/** The first seals that may go, if the oldest of them could have gone `overdueMs` ago; never the newest of the log. */
async function findOld(
  database: Pick<Database, 'query'>,
  checkpoint: Checkpoint | undefined,
  rows: number,
  overdueMs: number,
): Promise<Seal[]> {
  const [ages] = await database.query<{ due: Date }>(
    `select now() - make_interval(days => audit_days) as due from sluice.retention`,
  )
  const due = ages!.due.getTime() - SKEW_MS
  const page = await readSeals(database, checkpoint?.position ?? 0, rows)
  const [oldest] = page
  if (!oldest || oldest.sealedAt.getTime() >= due - overdueMs) return []
  const newest = await readLastSeal(database)
  const young = page.findIndex(({ position, sealedAt }) => sealedAt.getTime() >= due || position >= newest!.position)
  return young === -1 ? page : page.slice(0, young)
}

/** What is broken in it; if nothing is, it lies in the archive when this resolves. */
async function verifyAndArchive(
  { database, keys, archiveDir }: ShortenOptions,
  checkpoint: Checkpoint | undefined,
  seals: readonly Seal[],
): Promise<Break | undefined> {
  const lines = exportAudit({ database, keys, after: checkpoint?.position ?? 0, through: seals.at(-1)!.position })
  if (archiveDir === undefined) return (await checkExport(keys, lines)).broken
  await mkdir(archiveDir, { recursive: true, mode: 0o700 })
  const path = join(archiveDir, `audit-${seals[0]!.position}-${seals.at(-1)!.position}.jsonl`)
  const file = await open(`${path}.part`, 'w', 0o600)
  try {
    const { broken } = await checkExport(keys, writeThrough(lines, file))
    await file.sync()
    await (broken ? rm(`${path}.part`) : rename(`${path}.part`, path))
    return broken
  } finally {
    await file.close()
  }
}

async function* writeThrough(
  lines: AsyncIterable<string>,
  file: { write(text: string): Promise<unknown> },
): AsyncGenerator<string> {
  for await (const line of lines) {
    await file.write(`${line}\n`)
    yield line
  }
}

/** undefined: another process has been there. */
async function remove(
  { database, keys, head }: ShortenOptions,
  before: Checkpoint | undefined,
  seals: readonly Seal[],
): Promise<number | undefined> {
  const made = makeCheckpoint(keys, before, seals, new Date(Math.floor(database.clock.now())))
  const removed = await database.transaction(async (em) => {
    const [row] = await queryIn<{ removed: number }>(em, REMOVE, [
      ...[before?.position ?? 0, made.position, made.events, made.madeAt, made.signature],
    ])
    if (!row) return undefined
    const facts = { type: 'retention.removed', metadata: { auditEvents: row.removed, throughSeal: made.position } }
    await recordAudit(em, auditEntry({ origin: {}, services: { database, auditKeys: keys } }, facts, { kind: 'SYSTEM' }))
    return row.removed
  })
  if (removed !== undefined) await head.rememberCheckpoint(made)
  return removed
}

const REMOVE = 'select removed from sluice.remove_audit_prefix($1, $2, $3, $4, $5) as removed'

async function tellBroken({ database, keys, log }: ShortenOptions, { id, why }: Break): Promise<void> {
  log.fatal(`the audit log is broken, so that none of it is removed: ${why}`)
  const facts = { type: 'audit.broken', severity: 'CRITICAL', success: false, metadata: { id, why } } as const
  const entry = auditEntry({ origin: {}, services: { database, auditKeys: keys } }, facts, { kind: 'SYSTEM' })
  await database.transaction((em) => recordAudit(em, entry))
}
