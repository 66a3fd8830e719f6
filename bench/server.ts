/** The bench's PostgreSQL: one embedded server with production settings, a database for each system, and what the server counts. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { plan } from '../migrations/list.ts'
import { startEmbedded } from '../src/database/embedded.ts'
import { migrateDatabase } from '../src/database/migrate.ts'
import { createLog } from '../src/log.ts'

/** Totals since the server started; differences are what is wanted. */
export interface Counters {
  walBytes: number
  /** transactions that wrote */
  commits: number
  /** rows inserted, updated and deleted in the system's database */
  rows: number
  executionUpdates: number
  executionHotUpdates: number
  cpuMs: number
}

export interface BenchServer {
  /** Makes an empty database; `migrated`: with Sluice's tables. Its URL, for the role that a system would use. */
  makeDatabase(name: string, migrated: boolean): Promise<string>
  /** of a database of `makeDatabase`, as the role that owns its tables */
  ownerUrl(name: string): string
  counters(database: string): Promise<Counters>
  /** a superuser's connection to a database */
  connect(database: string): Promise<Client>
  /** Writes out what the shape before left, so that it is not written during the next. */
  checkpoint(): Promise<void>
  stop(): Promise<void>
}

export async function startServer(settings: Record<string, string> = {}): Promise<BenchServer> {
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
  const log = createLog('warn')
  const server = await startEmbedded({ dataDir, log, settings })
  const on = (url: string, database: string): string => url.slice(0, url.lastIndexOf('/') + 1) + database
  const connect = async (database: string): Promise<Client> => {
    const client = new Client({ connectionString: on(server.superuserUrl, database) })
    await client.connect()
    return client
  }
  const admin = await connect('postgres')
  /** kept open: a connection that ends takes its CPU time from one count to another */
  const watching = new Map<string, Client>()

  async function stop(): Promise<void> {
    for (const client of [admin, ...watching.values()]) await client.end()
    await server.stop()
    await rm(dataDir, { recursive: true, force: true })
  }

  // The server would outlive us.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.once(signal, () => void stop().finally(() => process.exit(130)))
  }

  return {
    connect,
    stop,
    ownerUrl: (name) => on(server.ownerUrl, name),
    async makeDatabase(name, migrated) {
      await admin.query(`create database ${name} owner sluice_owner`)
      await admin.query(`grant connect on database ${name} to sluice_app`)
      if (!migrated) return on(server.ownerUrl, name)
      await migrateDatabase({ connection: on(server.ownerUrl, name), appRole: 'sluice_app', ...plan, release: 'test', log })
      return on(server.appUrl, name)
    },
    async counters(database) {
      const client = watching.get(database) ?? (await connect(database))
      watching.set(database, client)
      const { rows } = await client.query<Record<string, string>>(COUNTERS)
      const count = (name: string): number => Number(rows[0]![name] ?? 0)
      return {
        ...{ walBytes: count('wal'), commits: count('commits'), rows: count('rows') },
        ...{ executionUpdates: count('updates'), executionHotUpdates: count('hot_updates'), cpuMs: await cpuOf(server.pid) },
      }
    },
    async checkpoint() {
      await admin.query('checkpoint')
    },
  }
}

const COUNTERS = `
  select pg_current_wal_insert_lsn() - '0/0' as wal, pg_snapshot_xmax(pg_current_snapshot())::text as commits,
    sum(n_tup_ins + n_tup_upd + n_tup_del) as rows,
    sum(n_tup_upd) filter (where relname = 'executions') as updates,
    sum(n_tup_hot_upd) filter (where relname = 'executions') as hot_updates
  from pg_stat_user_tables`

/** What `/proc` counts in, on every Linux that Node runs on. */
const TICK_MS = 10

/** CPU time of the postmaster, its children and those of them that are gone; 0 where there is no `/proc`. */
async function cpuOf(postmaster: number): Promise<number> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  let ticks = 0
  for (const pid of pids) {
    const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
    if (text === undefined) continue
    // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html from the third field on
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const [parent, user, system, goneUser, goneSystem] = [fields[1], fields[11], fields[12], fields[13], fields[14]].map(Number)
    if (Number(pid) === postmaster) ticks += user! + system! + goneUser! + goneSystem!
    else if (parent === postmaster) ticks += user! + system!
  }
  return ticks * TICK_MS
}
