/** The directory of a drill, gone when it is over; what drills that were killed have left is taken away by the next one. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPostgres, waitUntilGone } from '../database/postgres-process.ts'

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
    const lock = await readFile(join(path, 'data', 'postgres', 'data', 'postmaster.pid'), 'utf8').catch(() => '')
    const postmaster = Number(lock.split('\n')[0])
    if (await isPostgres(postmaster)) {
      process.kill(postmaster, 'SIGQUIT')
      await waitUntilGone(postmaster, GONE_WITHIN_MS)
    }
    await remove(path)
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

const remove = (path: string): Promise<void> => rm(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
