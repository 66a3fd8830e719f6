/** A streaming standby of an embedded PostgreSQL: a copy of its cluster, that follows it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { copyRunningCluster } from '../../src/database/copy-cluster.ts'
import { CLEAN_ENVIRONMENT } from '../../src/database/postgres-binaries.ts'
import { identity, makeSocketDir, openCluster, SERVER_SETTINGS } from '../../src/database/postgres-cluster.ts'

export interface Standby {
  /** `url` of the primary, here */
  at(url: string): string
  /** as superuser, in `postgres` */
  superuser: Client
  /** At once, and its files with it. */
  end(): Promise<void>
}

export async function startStandby({ dataDir, superuserUrl }: { dataDir: string; superuserUrl: string }): Promise<Standby> {
  const to = await mkdtemp(join(tmpdir(), 'sluice-standby-'))
  await copyRunningCluster({ dataDir, superuserUrl, to })
  const { hostname, username, password, port } = new URL(superuserUrl)
  const primary = `host=${decodeURIComponent(hostname)} port=${port} user=${username} password=${password}`
  return startCopy({ to, superuserUrl, signal: 'standby.signal', settings: { primary_conninfo: primary } })
}

export interface CopyOptions {
  /** where the cluster was copied to */
  to: string
  /** of the one that it was copied from */
  superuserUrl: string
  /** what tells PostgreSQL how to recover: https://www.postgresql.org/docs/18/warm-standby.html, recovery-target-settings */
  signal: 'standby.signal' | 'recovery.signal'
  settings: Record<string, string>
}

/** Resolves when it answers, recovering or recovered. */
export async function startCopy({ to, superuserUrl, signal, settings: more }: CopyOptions): Promise<Standby> {
  const cluster = await openCluster(to)
  const { hostname } = new URL(superuserUrl)
  await writeFile(join(cluster.data, signal), '', { mode: 0o600 })
  if (cluster.user) await chown(join(cluster.data, signal), cluster.user.uid, cluster.user.gid)
  const socketDir = await makeSocketDir(cluster)
  const settings = { ...SERVER_SETTINGS, unix_socket_directories: socketDir, fsync: 'off', ...more }
  const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(join(cluster.binaries, 'bin', 'postgres'), ['-D', cluster.dataArgument, ...options], {
    ...{ cwd: cluster.data, env: CLEAN_ENVIRONMENT, stdio: 'ignore', ...identity(cluster.user) },
  })
  const exited = once(child, 'exit')
  const at = (url: string): string => url.replace(hostname, encodeURIComponent(socketDir))
  const superuser = await connected(at(superuserUrl))
  return {
    at,
    superuser,
    async end() {
      await superuser.end()
      child.kill('SIGQUIT')
      await exited
      for (const path of [to, socketDir]) await rm(path, { recursive: true, force: true })
    },
  }
}

async function connected(url: string): Promise<Client> {
  for (const end = performance.now() + 30_000; ;) {
    const client = new Client({ connectionString: url })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch (error) {
      if (performance.now() > end) throw error
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}
