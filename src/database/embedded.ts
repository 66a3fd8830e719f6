/**
 * Supervises the embedded PostgreSQL: one server per data directory, on a private Unix socket, kept alive while this process lives.
 *
 * The server is its own process group and outlives a killed node; the next start finds it by its lock file and adopts it. Who
 * supervises it holds an advisory lock through an open connection (the guard), which the server frees when that process dies: so
 * two processes can never both believe that the data directory is theirs.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile, rm, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Client } from 'pg'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import { DiskFull, isDiskFull } from './disk-full.ts'
import { CLEAN_ENVIRONMENT } from './postgres-binaries.ts'
import { SERVER_SETTINGS, connectionUrl, ensureDatabase, identity, makeSocketDir, openCluster } from './postgres-cluster.ts'
import type { Cluster } from './postgres-cluster.ts'
import { lastWords, rotateLog } from './postgres-log.ts'
import { isPostgres, waitUntilGone } from './postgres-process.ts'

/** Any constant: the guard's lock is the only one taken in the database `postgres`. */
const GUARD_LOCK = 7_312_018
/** A killed server's children hold its shared memory for a moment, and a killed node's connection lives until the kernel ends it. */
const STALE_LOCK_MS = 10_000
const GUARD_WAIT_MS = 1_000
const FAST_STOP_MS = 10_000
/** Between two tries to start it again. */
const REVIVE_WAIT_MS = 1_000
/** What keeps it from starting for longer than that, and is not a full disk, does not go by itself. */
const REVIVE_MS = 30_000

export interface EmbeddedOptions {
  /** where the cluster lies (in `postgres/`); made when missing */
  readonly dataDir: string
  readonly log: Logger
  /** server settings over SERVER_SETTINGS */
  readonly settings?: Readonly<Record<string, string>>
  /** the server ended and could not be started again, tried for 30 s, a full disk for as long as it is */
  readonly onLost?: (error: Error) => void
}

export interface EmbeddedPostgres {
  /** for the role that uses the tables: neither superuser nor owner of anything */
  readonly appUrl: string
  /** for the role that migrates */
  readonly ownerUrl: string
  /** to the database `postgres`; tests make their databases with it */
  readonly superuserUrl: string
  /** of the postmaster now; another after it was started again */
  readonly pid: number
  /** Ends every connection, then the server. To be called last. */
  stop(): Promise<void>
}

/**
 * Starts the server, or adopts the one that runs. Makes cluster, roles and the database `sluice` when they are missing.
 * Throws when another living process supervises this data directory; the message names its pid.
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const supervisor = new Supervisor(options, await openCluster(options.dataDir))
  await supervisor.start()
  return supervisor
}

/** The same for a command beside a server that runs: its PostgreSQL is used and left alone; when none runs, one is started. */
export async function visitEmbedded(
  options: EmbeddedOptions,
): Promise<Pick<EmbeddedPostgres, 'appUrl' | 'superuserUrl' | 'stop'>> {
  const cluster = await openCluster(options.dataDir)
  const found = await readLockFile(cluster)
  if (!found || !(await isPostgres(found.pid))) return startEmbedded(options)
  return {
    appUrl: connectionUrl(cluster, found.socketDir, 'app', 'sluice'),
    superuserUrl: connectionUrl(cluster, found.socketDir, 'superuser', 'postgres'),
    stop: async () => {},
  }
}

/** Ends the server of a data directory that no process supervises any more; nothing when none runs. */
export async function endOrphanIn(dataDir: string): Promise<void> {
  const found = await readLockFile({ data: join(dataDir, 'postgres', 'data') })
  if (!found || !(await isPostgres(found.pid))) return
  process.kill(found.pid, 'SIGINT')
  await waitUntilGone(found.pid, FAST_STOP_MS)
}

interface LockFile {
  readonly text: string
  readonly pid: number
  readonly socketDir: string
}

class Supervisor implements EmbeddedPostgres {
  pid = 0
  #socketDir = ''
  #guard: Client | undefined
  #stopping = false
  #reviving: Promise<void> | undefined
  readonly #options: EmbeddedOptions
  readonly #cluster: Cluster

  constructor(options: EmbeddedOptions, cluster: Cluster) {
    this.#options = options
    this.#cluster = cluster
  }

  get appUrl(): string {
    return connectionUrl(this.#cluster, this.#socketDir, 'app', 'sluice')
  }
  get ownerUrl(): string {
    return connectionUrl(this.#cluster, this.#socketDir, 'owner', 'sluice')
  }
  get superuserUrl(): string {
    return connectionUrl(this.#cluster, this.#socketDir, 'superuser', 'postgres')
  }

  async start(): Promise<void> {
    await this.#takeCharge()
    await ensureDatabase(this.#cluster, this.#socketDir)
  }

  async stop(): Promise<void> {
    this.#stopping = true
    // What is being started again has to be there to be stopped.
    await this.#reviving
    await this.#guard?.end().catch(() => undefined)
    if (!(await isPostgres(this.pid))) return
    process.kill(this.pid, 'SIGINT')
    if (!(await waitUntilGone(this.pid, FAST_STOP_MS))) {
      this.#options.log.warn({ pid: this.pid }, 'PostgreSQL does not stop: ending it at once')
      process.kill(this.pid, 'SIGQUIT')
      await waitUntilGone(this.pid, FAST_STOP_MS)
    }
    await this.#removeSocketDir(this.#socketDir)
  }

  /** The one beside the data stays, one under the temporary directory goes with the server that used it. */
  async #removeSocketDir(socketDir: string): Promise<void> {
    if (socketDir !== this.#cluster.socketDir) await rm(socketDir, { recursive: true, force: true })
  }

  /** Adopt, else launch; again while an old server is on its way out. */
  async #takeCharge(): Promise<void> {
    let deadline = performance.now() + STALE_LOCK_MS
    for (;;) {
      const found = await this.#readLockFile()
      if (found !== undefined && (await isPostgres(found.pid))) {
        const guard = await this.#connect(found.socketDir)
        if (guard instanceof Client) {
          this.#options.log.info({ pid: found.pid }, 'adopting the PostgreSQL that runs')
          return this.#standGuard(guard, found)
        }
        // Recovery after a crash takes as long as it takes.
        if (guard === 'not yet') deadline = performance.now() + STALE_LOCK_MS
      } else {
        if (found !== undefined) await this.#removeStaleLock(found)
        const guard = await this.#launch(performance.now() >= deadline)
        const started = await this.#readLockFile()
        if (guard !== undefined && started !== undefined) return this.#standGuard(guard, started)
      }
      if (performance.now() >= deadline) {
        throw new Error(
          `PostgreSQL (pid ${found?.pid}) runs on ${this.#cluster.data} but does not answer: end it, then start again`,
        )
      }
      await sleep(50)
    }
  }

  /** The guard when the server accepts connections; undefined when an old server is in the way (unless `last`). */
  async #launch(last: boolean): Promise<Client | undefined> {
    // Kept when the server is started again: the URLs that were given out stay true.
    const socketDir = this.#socketDir || (await makeSocketDir(this.#cluster))
    const logStart = await rotateLog(this.#cluster.log)
    const child = this.#spawn(socketDir)
    const ended = new Promise<'ended'>((resolve) =>
      child.once('exit', () => resolve('ended')).once('error', () => resolve('ended')),
    )
    for (;;) {
      const guard = await this.#connect(socketDir)
      if (guard instanceof Client) return guard
      if ((await Promise.race([ended, sleep(10)])) !== 'ended') continue
      if (socketDir !== this.#socketDir) await this.#removeSocketDir(socketDir)
      const said = (await readFile(this.#cluster.log)).subarray(logStart).toString()
      if (await isDiskFull(this.#cluster.data, said)) throw new DiskFull(this.#cluster.data)
      if (!last && /lock file|shared memory/.test(said)) return undefined
      throw new Error(`PostgreSQL did not start; its log ${this.#cluster.log} ends with: ${lastWords(said)}`)
    }
  }

  #spawn(socketDir: string): ChildProcess {
    const { binaries, data, dataArgument, log, user } = this.#cluster
    const settings = { ...SERVER_SETTINGS, ...this.#options.settings, unix_socket_directories: socketDir }
    const options = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const output = openSync(log, 'a', 0o600)
    const child = spawn(join(binaries, 'bin', 'postgres'), ['-D', dataArgument, ...options], {
      cwd: data,
      env: CLEAN_ENVIRONMENT,
      detached: true,
      stdio: ['ignore', output, output],
      ...identity(user),
    })
    closeSync(output)
    child.unref()
    return child
  }

  /** 'not yet': a server is there and asks for patience; undefined: none answers. */
  async #connect(socketDir: string): Promise<Client | 'not yet' | undefined> {
    const client = new Client({
      connectionString: connectionUrl(this.#cluster, socketDir, 'superuser', 'postgres'),
      application_name: `sluice ${process.pid}`,
      connectionTimeoutMillis: 5_000,
    })
    client.on('error', () => undefined)
    try {
      await client.connect()
      return client
    } catch (error) {
      const { code } = error as { code?: string }
      if (code === '28P01') throw new Error(`The passwords beside ${this.#cluster.data} do not fit it`, { cause: error })
      return code === '57P03' ? 'not yet' : undefined
    }
  }

  /** Takes the lock that makes this process the supervisor, and watches the server from here on. */
  async #standGuard(guard: Client, server: LockFile): Promise<void> {
    const deadline = performance.now() + GUARD_WAIT_MS
    while (!(await guard.query<{ mine: boolean }>('select pg_try_advisory_lock($1) as mine', [GUARD_LOCK])).rows[0]?.mine) {
      if (performance.now() < deadline) await sleep(50)
      else {
        const holder = await nameHolder(guard)
        await guard.end()
        throw new Error(`another sluice is using this data directory, pid ${holder}`)
      }
    }
    this.pid = server.pid
    this.#socketDir = server.socketDir
    this.#guard = guard
    guard.once('end', () => {
      if (!this.#stopping) this.#reviving = this.#revive()
    })
  }

  async #revive(): Promise<void> {
    const { log, onLost } = this.#options
    const trouble = createTrouble({ log, level: 'error', message: 'PostgreSQL cannot be started again, trying on' })
    const giveUpAt = performance.now() + REVIVE_MS
    log.warn({ pid: this.pid }, 'PostgreSQL ended: starting it again')
    while (!this.#stopping) {
      try {
        await this.#takeCharge()
        return log.info({ pid: this.pid }, 'PostgreSQL runs again')
      } catch (error) {
        if (!(error instanceof DiskFull) && performance.now() > giveUpAt) {
          log.error({ err: error }, 'PostgreSQL could not be started again')
          return onLost?.(error as Error)
        }
        trouble.failed(error)
        await sleep(REVIVE_WAIT_MS)
      }
    }
  }

  #readLockFile(): Promise<LockFile | undefined> {
    return readLockFile(this.#cluster)
  }

  /** PostgreSQL itself believes any living pid of its user: a reused one, or a zombie that nobody reaps, would block it for ever. */
  async #removeStaleLock(found: LockFile): Promise<void> {
    if ((await this.#readLockFile())?.text === found.text)
      await unlink(join(this.#cluster.data, 'postmaster.pid')).catch(() => undefined)
    if (found.socketDir !== this.#socketDir) await this.#removeSocketDir(found.socketDir)
  }
}

async function readLockFile({ data }: Pick<Cluster, 'data'>): Promise<LockFile | undefined> {
  const text = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '')
  const [pid, , , , socketDir] = text.split('\n')
  // Written in pieces: without its fifth line the server is still starting.
  return socketDir ? { text, pid: Number(pid), socketDir } : undefined
}

async function nameHolder(guard: Client): Promise<string> {
  const { rows } = await guard.query<{ name: string }>(
    `select a.application_name as name from pg_locks l join pg_stat_activity a using (pid) where l.locktype = 'advisory' and l.objid = $1`,
    [GUARD_LOCK],
  )
  return rows[0]?.name.replace('sluice ', '') ?? 'unknown'
}
