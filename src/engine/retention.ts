/**
 * Removes what is older than it has to be kept (docs/retention.md): one loop in every process, of which one removes at a time. What
 * is kept how long is stored in the database by its owner; nobody who calls this can make it shorter.
 */
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { SealedHead } from '../audit/sealed-head.ts'
import { shortenAudit } from '../audit/shorten-audit.ts'
import type { RetentionConfig } from '../config/config-types.ts'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import { dropPartitions, REMOVABLE, removeDeadWords, removeOld } from './remove-finished.ts'
import type { Removable } from './remove-finished.ts'
import { trimCommitLog } from './trim-commit-log.ts'

const EVERY_MS = 600_000
/** Whoever removes for all may die, and nobody is told. */
const LOOK_AGAIN_MS = 60_000
const WORDS_EVERY_MS = 10_000

export interface RetentionOptions {
  database: Database
  auditKeys: AuditKeys
  auditHead: SealedHead
  /** where the oldest part of the audit log is written to before it is removed; none = it is not */
  auditArchiveDir?: string | undefined
  /** asked before each round; false: another process does it. By default this one does */
  isMine?(): Promise<boolean>
  log: Logger
}

/** What can go by its age. */
export type Aged = Removable | 'auditEvents'

export interface RetentionRun {
  readonly removed: Readonly<Record<Aged, number>>
  /** ms: how old the oldest of each is that is still there; undefined: there is none */
  readonly oldest: Readonly<Record<Aged, number | undefined>>
  /** names of the weeks of step runs and events that were dropped whole */
  readonly partitions: readonly string[]
}

const NOTHING: RetentionRun['removed'] = { executionPayloads: 0, executions: 0, idempotencyKeys: 0, auditEvents: 0 }

export interface Retention {
  start(): void
  /** Ends after the batch under way. */
  stop(): Promise<void>
  /** Removes all that is old now. */
  runOnce(): Promise<RetentionRun>
  /** called after each run; for metrics */
  onRun?: (run: RetentionRun) => void
}

export function createRetention(options: RetentionOptions): Retention {
  const { database, auditKeys, auditHead, auditArchiveDir, log, isMine = async () => true } = options
  let stopping = false
  const isStopping = (): boolean => stopping
  const ages = createLoop({
    name: 'removing what is old',
    log,
    retryMs: 60_000,
    async runOnce() {
      if (await isMine()) {
        await runOnce()
        return EVERY_MS
      }
      retention.onRun?.({ removed: NOTHING, oldest: await readOldest(database), partitions: [] })
      return LOOK_AGAIN_MS
    },
  })
  const words = createLoop({
    name: 'removing words to the dead',
    log,
    async runOnce() {
      if (await isMine()) await removeDeadWords(database)
      return WORDS_EVERY_MS
    },
  })

  async function runOnce(): Promise<RetentionRun> {
    const removed: Record<Aged, number> = { ...NOTHING }
    for (const what of REMOVABLE) removed[what] = await removeOld(what, { database, auditKeys, isStopping })
    const partitions = await dropPartitions(database)
    await trimCommitLog(database)
    removed.auditEvents = await shortenAudit({
      ...{ database, log, isStopping, keys: auditKeys, head: auditHead },
      archiveDir: auditArchiveDir,
    })
    const run: RetentionRun = { removed, oldest: await readOldest(database), partitions }
    if (Object.values(removed).some((count) => count > 0) || partitions.length > 0) {
      log.info({ ...removed, partitions: partitions.length }, 'removed what is old')
    }
    retention.onRun?.(run)
    return run
  }

  const retention: Retention = {
    start() {
      ages.start()
      words.start()
    },
    async stop() {
      stopping = true
      await Promise.all([ages.stop(), words.stop()])
    },
    runOnce,
  }
  return retention
}

/** The owner's statement: how long things are kept from now on. */
export function storeAges(config: RetentionConfig): { text: string; params: (number | null)[] } {
  const { payloadDays, eventDays, auditDays, keyHours, flowDays } = config
  return {
    text: `update sluice.retention
      set payload_days = $1, event_days = $2, audit_days = $3, key_hours = $4, flow_least_days = $5, flow_most_days = $6
      where (payload_days, event_days, audit_days, key_hours, flow_least_days, flow_most_days)
        is distinct from ($1, $2, $3, $4, $5::integer, $6::integer)`,
    params: [payloadDays, eventDays, auditDays, keyHours, flowDays?.least ?? null, flowDays?.most ?? null],
  }
}

/** One index look each; an id is its time. */
async function readOldest(database: Pick<Database, 'query'>): Promise<RetentionRun['oldest']> {
  const [row] = await database.query<Record<Aged, number | null>>(`
    select ${ageOfId('(select execution_id from sluice.execution_inputs order by execution_id limit 1)')} as "executionPayloads",
      ${ageOfId('(select id from sluice.executions order by id limit 1)')} as executions,
      ${ageOf('(select created_at from sluice.idempotency_keys order by created_at limit 1)')} as "idempotencyKeys",
      ${ageOf('(select at from sluice.audit_events order by xid, id limit 1)')} as "auditEvents"`)
  const { executionPayloads, executions, idempotencyKeys, auditEvents } = row!
  const known = (ms: number | null): number | undefined => ms ?? undefined
  return {
    executionPayloads: known(executionPayloads),
    executions: known(executions),
    idempotencyKeys: known(idempotencyKeys),
    auditEvents: known(auditEvents),
  }
}

const ageOf = (time: string): string => `(extract(epoch from now() - ${time}) * 1000)::float8`
/** a UUIDv7 begins with 48 bits of milliseconds */
const ageOfId = (id: string): string =>
  `(extract(epoch from now()) * 1000 - ('x' || translate(left(${id}::text, 13), '-', ''))::bit(48)::bigint)::float8`
