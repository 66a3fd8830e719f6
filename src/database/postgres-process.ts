/** Whether a process is a living PostgreSQL server, or another that we know by name: a pid alone proves nothing, it may have been given away. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

export const isPostgres = (pid: number): Promise<boolean> => runsAs('postgres', pid)

/** False for a pid that is gone, that another program has now, or that ended and was not reaped (no init in a container). */
export async function runsAs(program: 'postgres' | 'redis-server', pid: number): Promise<boolean> {
  if (!(pid > 1)) return false
  if (process.platform !== 'linux')
    return run('ps', ['-p', `${pid}`, '-o', 'stat=,comm=']).then(
      ({ stdout }) => !stdout.startsWith('Z') && stdout.includes(program),
      () => false,
    )
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [, name, state] = /^\d+ \((.*)\) (\S)/s.exec(text) ?? []
  return name === program && state !== 'Z' && state !== 'X'
}

/** True as soon as it is gone, false when it still runs after `withinMs`. */
export async function waitUntilGone(pid: number, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs
  while (await isPostgres(pid)) {
    if (performance.now() > deadline) return false
    await sleep(5)
  }
  return true
}
