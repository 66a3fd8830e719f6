/**
 * Watches for what needs attention (C8, B14, D7): everybody counts here, in memory; every few seconds the counts of all processes
 * are added up in the database, and what crosses its threshold becomes a security event: an audit event, a row of its own, a line
 * in the log, a metric, and an alert to the operator's webhook.
 */
import type { Database } from '../database/database.ts'
import type { SecurityConfig } from '../config/config-types.ts'
import { encodeId } from '../ids.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import type { AuditEntry } from './audit-entry.ts'
import type { AuditKeys } from './audit-keys.ts'
import { raiseSecurityEvents } from './raise-security-events.ts'
import type { RaisedEvent } from './raise-security-events.ts'
import { auditTypeOf, ruleOf, SECURITY_KIND_NAMES } from './security-kinds.ts'
import type { SecurityKind, Subject } from './security-kinds.ts'
import { signalOf } from './security-signals.ts'
import { SecurityTallies } from './security-tallies.ts'

const EVERY_MS = 2_000
const ROWS_PER_TRANSACTION = 1_000
/** Old counts are looked for this often. */
const FORGET_EVERY_MS = 60_000
const DAY_MS = 86_400_000
const FORGET_AT_ONCE = 5_000

export interface SecurityWatchOptions {
  readonly database: Pick<Database, 'query' | 'transaction' | 'clock'>
  readonly keys: Pick<AuditKeys, 'sign'>
  readonly limits: SecurityConfig
  readonly log: Logger
  /** whom an address stands for: `addressKey` */
  readonly addressOf: (ip: string | undefined) => string
  /** told of each event that this process raised, once it is stored */
  readonly onRaised?: (event: RaisedEvent) => void
  /** tests have less */
  readonly maxSubjects?: number
}

export interface SecurityWatch {
  /** Counts `times` (1) for each of the subjects. Costs a look into a map; never throws. */
  count(kind: SecurityKind, subjects: readonly Subject[], times?: number): void
  /** Counts a refusal, as whatever it is a sign of. */
  refused(entry: AuditEntry): void
  /** Adds up what was counted, and raises what is due. Rejects when the database does not answer: nothing is lost then. */
  runOnce(): Promise<void>
  start(): void
  /** Adds up what is left. */
  stop(): Promise<void>
  /** subjects in memory, for tests */
  readonly size: number
}

export function createSecurityWatch(options: SecurityWatchOptions): SecurityWatch {
  const { database, keys, limits, log } = options
  const tallies = new SecurityTallies(limits, options.maxSubjects)
  let forgetAt = 0

  const entry: Parameters<typeof raiseSecurityEvents>[2]['entry'] = (facts) => ({
    ...{ at: new Date(database.clock.now()).toISOString(), actorKind: 'SYSTEM', sign: keys.sign },
    ...facts,
  })

  async function runOnce(): Promise<void> {
    for (;;) {
      const taken = tallies.take(ROWS_PER_TRANSACTION)
      if (taken.length === 0) break
      try {
        const alerts = limits.webhookUrl !== undefined
        const raised = await database.transaction((em) => raiseSecurityEvents(em, taken, { limits, alerts, entry }))
        for (const event of raised) tell(event)
      } catch (error) {
        tallies.putBack(taken)
        throw error
      }
    }
    if (database.clock.now() >= forgetAt) await forget()
  }

  function tell(event: RaisedEvent): void {
    const { severity } = ruleOf(event.kind)
    const fields = { audit: encodeId('auditEvent', event.id), type: auditTypeOf(event.kind), severity, count: event.count }
    if (severity === 'CRITICAL') log.error(fields, 'security event')
    else log.warn(fields, 'security event')
    options.onRaised?.(event)
  }

  async function forget(): Promise<void> {
    const compared = SECURITY_KIND_NAMES.filter((kind) => ruleOf(kind).timesUsual)
    const others = SECURITY_KIND_NAMES.filter((kind) => !ruleOf(kind).timesUsual)
    // the present window may still grow, here or where a process is slow
    await removeAll(() => removeCounts(others, 2 * limits.windowMs))
    await removeAll(() => removeCounts(compared, DAY_MS + 2 * limits.windowMs))
    await removeAll(removeEvents)
    forgetAt = database.clock.now() + FORGET_EVERY_MS
  }

  async function removeAll(removeSome: () => Promise<number>): Promise<void> {
    while ((await removeSome()) === FORGET_AT_ONCE);
  }

  async function removeCounts(kinds: readonly SecurityKind[], olderMs: number): Promise<number> {
    return (await database.query(FORGET_COUNTS, [kinds, olderMs / 1_000])).length
  }

  /** The text of the function is remove-security-events.sql beside this file. */
  async function removeEvents(): Promise<number> {
    const [row] = await database.query<{ removed: number }>(FORGET_EVENTS, [FORGET_AT_ONCE])
    return row!.removed
  }

  const loop = createLoop({
    name: 'looking for what needs attention',
    log,
    async runOnce() {
      await runOnce()
      return EVERY_MS
    },
  })

  const count: SecurityWatch['count'] = (kind, subjects, times = 1) => tallies.count(kind, subjects, times, database.clock.now())

  return {
    count,
    refused(refusal) {
      const { kind, subjects } = signalOf(refusal, options.addressOf(refusal.ip ?? undefined))
      count(kind, subjects)
    },
    runOnce,
    start: loop.start,
    async stop() {
      await loop.stop()
      await runOnce().catch((error: unknown) => log.warn({ err: error }, 'what was counted last is lost'))
    },
    get size() {
      return tallies.size
    },
  }
}

const FORGET_COUNTS = `
delete from sluice.security_counts where ctid in (
  select ctid from sluice.security_counts
  where kind = any($1) and window_at < now() - make_interval(secs => $2) limit ${FORGET_AT_ONCE} for update skip locked)
returning kind`

const FORGET_EVENTS = 'select sluice.remove_security_events($1) as removed'
