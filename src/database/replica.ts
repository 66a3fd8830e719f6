/**
 * A streaming standby for reads that may be a little stale. It is used while it is near: how far it is behind is measured by where the
 * primary's log was and when, so it needs no clock of the other machine and no writes. Whatever fails there is read on the primary.
 */
import type { EntityManager } from '@mikro-orm/postgresql'
import type { Logger } from '../log.ts'
import { openDatabase } from './database.ts'
import type { Database } from './database.ts'

/** How often `runOnce` is to be called. */
export const LOOK_EVERY_MS = 1_000

export interface ReplicaOptions {
  primary: Pick<Database, 'query'>
  /** URL of the standby */
  connection: string
  /** further behind it is not read */
  mostLagMs: number
  poolSize: number
  log: Logger
}

export interface Replica {
  /** Undefined: it is away, or no standby of this primary. */
  readonly lagMs: number | undefined
  /** Runs `work`, which only reads, on the standby while it is near, else with `em`, of the primary. */
  read<T>(em: EntityManager, work: (em: EntityManager) => Promise<T>): Promise<T>
  /** Looks how far it is behind; opens it when it is not open. */
  runOnce(): Promise<void>
  close(): Promise<void>
}

interface Mark {
  at: number
  lsn: bigint
}

export function createReplica({ primary, connection, mostLagMs, poolSize, log }: ReplicaOptions): Replica {
  let standby: Database | undefined
  /** where the primary was, the newest last */
  let marks: Mark[] = []
  /** when the primary was where the standby is */
  let asOf: number | undefined
  let told = true

  async function look(): Promise<void> {
    standby ??= await openDatabase({ connection, entities: [], poolSize, log })
    const [here] = await primary.query<{ lsn: string; system: string }>(PRIMARY)
    marks.push({ at: performance.now(), lsn: lsnOf(here!.lsn) })
    const [there] = await standby.query<{ lsn: string | null; system: string }>(STANDBY)
    if (there!.lsn === null || there!.system !== here!.system) throw new Error('DATABASE_READ_URL is no standby of DATABASE_URL')
    const replayed = lsnOf(there!.lsn)
    asOf = marks.findLast(({ lsn }) => lsn <= replayed)?.at
    // what is older than the limit tells nothing more, but for the one that it may stand at
    marks = marks.filter(({ at }) => at >= Math.max(asOf ?? 0, performance.now() - mostLagMs - 2 * LOOK_EVERY_MS))
  }

  async function runOnce(): Promise<void> {
    try {
      await look()
      tell(isNear() ? undefined : { lagMs: lagMs() })
    } catch (error) {
      asOf = undefined
      tell({ err: error })
    }
  }

  /** Once each time it changes. */
  function tell(wrong: object | undefined): void {
    if ((wrong === undefined) === told) return
    told = wrong === undefined
    if (wrong) log.warn(wrong, 'the replica is not read: it is away or too far behind')
    else log.info('the replica is read again')
  }

  const lagMs = (): number | undefined => (asOf === undefined ? undefined : performance.now() - asOf)
  // a look itself is a second old at most
  const isNear = (): boolean => (lagMs() ?? Infinity) <= mostLagMs + LOOK_EVERY_MS

  return {
    get lagMs() {
      return lagMs()
    },
    async read(em, work) {
      if (!standby || !isNear()) return work(em)
      try {
        return await work(standby.fork())
      } catch (error) {
        // gone, restarted, or in the way of what it replays; a fault of ours shows again below
        tell({ err: error })
        asOf = undefined
        return await work(em)
      }
    },
    runOnce,
    close: async () => standby?.close(),
  }
}

const PRIMARY = `select pg_current_wal_lsn()::text as lsn, system_identifier::text as system from pg_control_system()`
const STANDBY = `
  select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() end::text as lsn, system_identifier::text as system from pg_control_system()`

/** `16/B374D848`: the upper and the lower 32 bits. */
function lsnOf(text: string): bigint {
  const [upper = '0', lower = '0'] = text.split('/')
  return (BigInt(`0x${upper}`) << 32n) + BigInt(`0x${lower}`)
}
