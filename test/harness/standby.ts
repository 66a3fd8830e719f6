/** A streaming standby of an embedded PostgreSQL: a copy of its cluster, that follows it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
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
  const cluster = await openCluster(to)
  const { hostname, username, password, port } = new URL(superuserUrl)
  const from = `host=${decodeURIComponent(hostname)} port=${port} user=${username} password=${password}`
  await appendFile(join(cluster.data, 'postgresql.auto.conf'), `primary_conninfo = '${from}'\n`)
  await writeFile(join(cluster.data, 'standby.signal'), '', { mode: 0o600 })
  if (cluster.user) await chown(join(cluster.data, 'standby.signal'), cluster.user.uid, cluster.user.gid)
  const socketDir = await makeSocketDir(cluster)
  const settings = { ...SERVER_SETTINGS, unix_socket_directories: socketDir, fsync: 'off' }
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
