/** A PgBouncer of a test's own before the run's PostgreSQL, in transaction mode, with few connections to it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { findServiceUser } from '../../src/database/postgres-binaries.ts'
import { freePort } from './free-port.ts'

/** The URL of the same database and role through it. To be called once, where `hasPgBouncer`; it is gone at the end of the file. */
export async function pooled(connection: string, poolSize: number): Promise<string> {
  const { username, password, hostname, port, pathname } = new URL(connection)
  const directory = await mkdtemp(join(tmpdir(), 'sluice-pgbouncer-'))
  const listen = await freePort()
  const settings = `[databases]
* = host=${decodeURIComponent(hostname)} port=${port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${listen}
unix_socket_dir =
pool_mode = transaction
default_pool_size = ${poolSize}
max_client_conn = 500
auth_type = scram-sha-256
auth_file = ${join(directory, 'users.txt')}
`
  await writeFile(join(directory, 'pgbouncer.ini'), settings)
  await writeFile(join(directory, 'users.txt'), `"${username}" "${password}"\n`)
  // like PostgreSQL, it refuses root
  const user = await findServiceUser()
  for (const path of ['', 'pgbouncer.ini', 'users.txt']) if (user) await chown(join(directory, path), user.uid, user.gid)
  const child = spawn('pgbouncer', [join(directory, 'pgbouncer.ini')], {
    ...(user && { uid: user.uid, gid: user.gid }),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  afterAll(async () => {
    const exited = once(child, 'exit')
    child.kill('SIGKILL')
    await exited
    await rm(directory, { recursive: true, force: true })
  })
  let said = ''
  for await (const text of child.stderr) {
    said += String(text)
    if (said.includes('process up')) break
  }
  child.stderr.resume()
  return `postgres://${username}:${password}@127.0.0.1:${listen}${pathname}`
}
