/** The embedded cluster on disk: where its parts lie, how it is made, its roles and its settings. */
import { execFile } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { chmod, chown, link, mkdir, mkdtemp, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { Client } from 'pg'
import { DiskFull, isDiskFull } from './disk-full.ts'
import { CLEAN_ENVIRONMENT, findServiceUser, locatePostgres } from './postgres-binaries.ts'
import type { ServiceUser } from './postgres-binaries.ts'

const run = promisify(execFile)

/** Of the binaries that are installed with this release. */
const MAJOR = 18
/** Part of the socket's file name only: nothing listens on TCP. */
export const SOCKET_PORT = 5432

/** What a server on somebody's laptop needs; a value given to `startEmbedded` wins. */
export const SERVER_SETTINGS: Readonly<Record<string, string>> = {
  listen_addresses: '',
  cluster_name: 'sluice',
  shared_buffers: '128MB',
  max_connections: '60',
  jit: 'off',
  synchronous_commit: 'on',
  wal_compression: 'on',
  password_encryption: 'scram-sha-256',
  timezone: 'UTC',
  log_timezone: 'UTC',
  // The log tells what failed and never the values it failed with: neither the statement's text nor the DETAIL line.
  log_statement: 'none',
  log_min_error_statement: 'panic',
  log_error_verbosity: 'terse',
  log_parameter_max_length: '0',
  log_parameter_max_length_on_error: '0',
  log_checkpoints: 'off',
}

/** Passwords of the three roles: `postgres` (superuser), `sluice_owner` (owns the tables), `sluice_app` (uses them). */
export interface Passwords {
  readonly superuser: string
  readonly owner: string
  readonly app: string
}

/** One embedded cluster: absolute paths, and who runs it. */
export interface Cluster {
  /** PGDATA */
  readonly data: string
  readonly log: string
  readonly binaries: string
  readonly user: ServiceUser | undefined
  readonly passwords: Passwords
  /** the socket's directory, unless that path is too long or out of the service user's reach */
  readonly socketDir: string
  /** what to hand to PostgreSQL as its data directory, when its working directory is `data` */
  readonly dataArgument: string
}

/** Opens the cluster in `<dataDir>/postgres`, making it first when there is none. Two processes may do so at once. */
export async function openCluster(dataDir: string): Promise<Cluster> {
  const home = join(resolve(dataDir), 'postgres')
  await mkdir(home, { recursive: true, mode: 0o700 })
  const user = await findServiceUser()
  // The service user walks through `home` to its files; everything in it is 0600 or 0700.
  if (user !== undefined) await chmod(home, 0o711)
  const cluster: Cluster = {
    data: join(home, 'data'),
    log: join(home, 'postgres.log'),
    binaries: await locatePostgres(home, user),
    user,
    passwords: await readPasswords(join(home, 'passwords.json')).catch(async (error: Error) => {
      throw (await isDiskFull(home, error.message)) ? new DiskFull(home, error) : error
    }),
    socketDir: join(home, 'socket'),
    // A service user often cannot walk to the data (a checkout under /root). Its working directory it can always enter by this
    // link, which the kernel follows without looking at the directories above.
    dataArgument: user !== undefined && process.platform === 'linux' ? '/proc/self/cwd' : join(home, 'data'),
  }
  const version = await readFile(join(cluster.data, 'PG_VERSION'), 'utf8').catch(() => undefined)
  if (version === undefined) await initialise(cluster, home)
  else if (version.trim() !== String(MAJOR)) throw new Error(otherMajor(cluster.data, Number(version)))
  return cluster
}

/** The format of the files differs: a server of one major version never touches those of another. */
function otherMajor(data: string, written: number): string {
  const who = `The data in ${data} was written by PostgreSQL ${written}; this release brings ${MAJOR}, and has changed nothing.`
  if (written > MAJOR) return `${who} Start the newer release that wrote them, or restore a backup from before.`
  return `${who} Start the release that wrote them, or bring them over as docs/operating.md says under "Upgrading".`
}

/** How to connect as one of the three roles. */
export function connectionUrl(cluster: Cluster, socketDir: string, role: keyof Passwords, database: string): string {
  const name = { superuser: 'postgres', owner: 'sluice_owner', app: 'sluice_app' }[role]
  return `postgres://${name}:${cluster.passwords[role]}@${encodeURIComponent(socketDir)}:${SOCKET_PORT}/${database}`
}

/** Makes the roles and the database `sluice`, whichever is missing. */
export async function ensureDatabase(cluster: Cluster, socketDir: string): Promise<void> {
  await asSuperuser(cluster, socketDir, 'postgres', async (client) => {
    for (const role of ['owner', 'app'] as const) {
      const known = await client.query<{ quiet: boolean }>(
        `select rolconfig @> '{log_min_messages=fatal}' as quiet from pg_roles where rolname = $1`,
        [`sluice_${role}`],
      )
      // Passwords are hexadecimal: nothing to escape, and a role's statement takes no parameters.
      if (known.rowCount === 0) await client.query(`create role sluice_${role} login password '${cluster.passwords[role]}'`)
      // The text of an error quotes values (`invalid input syntax for type uuid: "..."`): it goes to whoever asked, not to the log.
      if (!known.rows[0]?.quiet) await client.query(`alter role sluice_${role} set log_min_messages = 'fatal'`)
    }
    const known = await client.query(`select from pg_database where datname = 'sluice'`)
    if (known.rowCount === 0) await client.query('create database sluice owner sluice_owner')
    await client.query('revoke all on database sluice from public')
    await client.query('grant connect on database sluice to sluice_app')
  })
  await asSuperuser(cluster, socketDir, 'sluice', async (client) => {
    // Large objects are the one kind of thing that every role may make, whatever else it may.
    await client.query('revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) from public')
  })
}

async function asSuperuser(
  cluster: Cluster,
  socketDir: string,
  database: string,
  work: (client: Client) => Promise<void>,
): Promise<void> {
  const client = new Client({ connectionString: connectionUrl(cluster, socketDir, 'superuser', database) })
  await client.connect()
  try {
    await work(client)
  } finally {
    await client.end()
  }
}

/** A private directory for the socket: beside the data, or under the temporary directory when that path is too long or closed. */
export async function makeSocketDir(cluster: Cluster): Promise<string> {
  const beside = cluster.socketDir
  await mkdir(beside, { mode: 0o700 }).catch(ignoreExisting)
  await giveTo(cluster.user, beside)
  // 107 bytes is the most that fits a socket address; PostgreSQL adds `.lock` to the name of a file beside it.
  const fits = Buffer.byteLength(join(beside, `.s.PGSQL.${SOCKET_PORT}`)) < 107
  if (fits && (await canEnter(beside, cluster.user))) return beside
  const elsewhere = await mkdtemp(join(tmpdir(), 'sluice-'))
  await giveTo(cluster.user, elsewhere)
  return elsewhere
}

/** Written once, before the cluster exists; whoever comes second reads what the first wrote. */
async function readPasswords(path: string): Promise<Passwords> {
  const existing = await readFile(path, 'utf8').catch(() => undefined)
  if (existing !== undefined) return JSON.parse(existing) as Passwords
  const fresh = { superuser: newPassword(), owner: newPassword(), app: newPassword() }
  // no process id: the next process of a container has the same
  const draft = `${path}.${randomUUID()}`
  try {
    const file = await open(draft, 'wx', 0o600)
    try {
      await file.writeFile(JSON.stringify(fresh))
      await file.sync()
    } finally {
      await file.close()
    }
    await link(draft, path).catch(ignoreExisting)
  } finally {
    await rm(draft, { force: true })
  }
  return JSON.parse(await readFile(path, 'utf8')) as Passwords
}

const newPassword = (): string => randomBytes(24).toString('hex')

/** Made aside and renamed: a start that is killed meanwhile leaves nothing half made. */
async function initialise(cluster: Cluster, home: string): Promise<void> {
  const aside = join(home, `data.${process.pid}`)
  const secretDir = await mkdtemp(join(tmpdir(), 'sluice-'))
  const secret = join(secretDir, 'password')
  try {
    // of a process that was killed and had our id: in a container the next one has it again
    await rm(aside, { recursive: true, force: true })
    await mkdir(aside, { mode: 0o700 })
    await writeFile(secret, cluster.passwords.superuser, { mode: 0o600 })
    for (const path of [aside, secretDir, secret]) await giveTo(cluster.user, path)
    const options = [
      `--pgdata=${cluster.dataArgument === cluster.data ? aside : cluster.dataArgument}`,
      '--username=postgres',
      `--pwfile=${secret}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--locale=C',
      '--no-instructions',
    ]
    const initdb = join(cluster.binaries, 'bin', 'initdb')
    await run(initdb, options, { cwd: aside, env: CLEAN_ENVIRONMENT, ...identity(cluster.user) }).catch(async (error: Error) => {
      throw (await isDiskFull(home, error.message)) ? new DiskFull(home, error) : error
    })
    await rename(aside, cluster.data).catch((error: unknown) => {
      // Another start was first.
      if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    })
  } finally {
    await rm(aside, { recursive: true, force: true })
    await rm(secretDir, { recursive: true, force: true })
  }
}

/** `uid` and `gid` for a child process. */
export function identity(user: ServiceUser | undefined): { uid?: number; gid?: number } {
  return user === undefined ? {} : { uid: user.uid, gid: user.gid }
}

/** Files that root makes for PostgreSQL. */
export async function giveTo(user: ServiceUser | undefined, path: string): Promise<void> {
  if (user !== undefined) await chown(path, user.uid, user.gid)
}

async function canEnter(directory: string, user: ServiceUser | undefined): Promise<boolean> {
  if (user === undefined) return stat(directory).then(() => true)
  return run('/bin/sh', ['-c', 'cd "$0"', directory], { cwd: '/', env: CLEAN_ENVIRONMENT, ...identity(user) }).then(
    () => true,
    () => false,
  )
}

function ignoreExisting(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EEXIST') throw error
}
