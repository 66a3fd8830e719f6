/** The directory of a drill, gone when it is over; what drills that were killed have left is taken away by the next one. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPostgres, runsAs, waitUntilGone } from '../database/postgres-process.ts'
import { REDIS_PID } from './own-redis.ts'

const PREFIX = 'sluice-drill-'
const GONE_WITHIN_MS = 10_000

export async function makeDirectory(): Promise<{ path: string; remove(): Promise<void> }> {
  await sweepKilledDrills()
  const path = await mkdtemp(join(tmpdir(), `${PREFIX}${process.pid}-`))
  return { path, remove: () => remove(path) }
}

async function sweepKilledDrills(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const [, pid] = new RegExp(`^${PREFIX}(\\d+)-`).exec(name) ?? []
    if (pid === undefined || isAlive(Number(pid))) continue
    const path = join(tmpdir(), name)
    const redis = await readPid(join(path, REDIS_PID))
    if (await runsAs('redis-server', redis)) process.kill(redis, 'SIGKILL')
    const postmaster = await readPid(join(path, 'data', 'postgres', 'data', 'postmaster.pid'))
    if (await isPostgres(postmaster)) {
      process.kill(postmaster, 'SIGQUIT')
      await waitUntilGone(postmaster, GONE_WITHIN_MS)
    }
    await remove(path)
  }
}

/** On the first line; not a number: there is none. */
const readPid = (path: string): Promise<number> =>
  readFile(path, 'utf8').then(
    (text) => Number.parseInt(text, 10),
    () => Number.NaN,
  )

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
