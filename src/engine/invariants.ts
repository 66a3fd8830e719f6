/**
 * The monitor of invariants: one loop in every process, of which one looks at a time. It walks what is active in batches, mends what is
 * not as it must be, and says so in the audit log and in `sluice.repairs`.
 */
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { Database } from '../database/database.ts'
import type { Bus } from '../fleet/bus.ts'
import { encodeId } from '../ids.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import type { Engine } from './engine.ts'
import { WORD_TOPIC } from './engine.ts'
import { ACTIVE_STATUSES, ACTIVE_TEXT, BREACHES_TEXT, SLOT_BREACHES_TEXT, SLOTS_TEXT } from './find-breaches.ts'
import type { Breach, Invariant } from './find-breaches.ts'
import { repairBreach } from './repair-breaches.ts'

export interface InvariantMonitorOptions {
  database: Database
  auditKeys: Pick<AuditKeys, 'sign'>
  engine: Pick<Engine, 'program'>
  bus: Bus
  log: Logger
}

export interface InvariantMonitor {
  start(): void
  stop(): Promise<void>
  /** Looks at everything that is active, unless somebody looked less than `PERIOD_MS` ago: how many were mended. */
  runOnce(options?: { anyway?: boolean }): Promise<number>
  /** for metrics */
  onRepaired?: (invariant: Invariant) => void
  onChecked?: (looked: { executions: number; slots: number }) => void
}

/** Between two looks at everything, whatever the number of processes. */
export const PERIOD_MS = 10_000
/** Whoever was not seen at its look for so long is gone; until then no other process begins one beside it. */
const GONE_MS = 60_000
const BATCH = 1_000
const LOWEST = '00000000-0000-0000-0000-000000000000'

export function createInvariantMonitor(options: InvariantMonitorOptions): InvariantMonitor {
  const { database, bus, log, auditKeys, engine } = options
  let stopping = false
  const repair = { database, auditKeys, program: engine.program }
  const loop = createLoop({
    name: 'invariants',
    log,
    retryMs: PERIOD_MS,
    async runOnce() {
      await monitor.runOnce()
      return PERIOD_MS
    },
  })

  const monitor: InvariantMonitor = {
    start: () => loop.start(),
    async stop() {
      stopping = true
      await loop.stop()
    },
    async runOnce({ anyway = false } = {}) {
      const mine = await database.query(
        `update sluice.invariant_checks set began_at = now() where $1 or (began_at < now() - $2 * interval '1 millisecond'
           and (ended_at >= began_at or began_at < now() - $3 * interval '1 millisecond')) returning began_at`,
        [anyway, PERIOD_MS * 0.9, GONE_MS],
      )
      if (mine.length === 0) return 0
      let mended = 0
      const looked = { executions: 0, slots: 0 }
      for (const status of ACTIVE_STATUSES) {
        await walk(ACTIVE_TEXT, [status], async (ids) => {
          looked.executions += ids.length
          mended += await mend(await database.query<Breach>(BREACHES_TEXT, [ids]))
        })
      }
      await walk(SLOTS_TEXT, [], async (ids) => {
        looked.slots += ids.length
        mended += await mend(await database.query<Breach>(SLOT_BREACHES_TEXT, [ids]))
      })
      await database.query('update sluice.invariant_checks set ended_at = now(), executions = $1, slots = $2', [
        looked.executions,
        looked.slots,
      ])
      monitor.onChecked?.(looked)
      return mended
    },
  }
  return monitor

  /** Batch by batch in the order of ids, each followed by a rest as long as it took. */
  async function walk(text: string, params: readonly unknown[], look: (ids: string[]) => Promise<void>): Promise<void> {
    for (let after: string | undefined = LOWEST; after !== undefined && !stopping;) {
      const began = performance.now()
      const rows: { id: string }[] = await database.query<{ id: string }>(text, [...params, after, BATCH])
      if (rows.length > 0) await look(rows.map(({ id }) => id))
      after = rows.length === BATCH ? rows.at(-1)!.id : undefined
      if (after === undefined) return
      await pause(performance.now() - began)
      await database.query('update sluice.invariant_checks set began_at = now()')
    }
  }

  async function mend(breaches: readonly Breach[]): Promise<number> {
    let mended = 0
    for (const breach of breaches) {
      if (!(await repairBreach(repair, breach))) continue
      mended++
      const { invariant, executionId } = breach
      log.error({ why: invariant, executionId: encodeId('execution', executionId) }, 'an invariant did not hold; it was mended')
      monitor.onRepaired?.(invariant)
      bus.ring(WORD_TOPIC, executionId)
    }
    return mended
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
