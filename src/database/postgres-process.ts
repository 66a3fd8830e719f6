/** Whether a process is a living PostgreSQL server: a pid alone proves nothing, it may have been given to another. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** False for a pid that is gone, that another program has now, or that ended and was not reaped (no init in a container). */
export async function isPostgres(pid: number): Promise<boolean> {
  if (!(pid > 1)) return false
  if (process.platform !== 'linux')
    return run('ps', ['-p', `${pid}`, '-o', 'stat=,comm=']).then(
      ({ stdout }) => /^[^Z].*postgres/.test(stdout),
      () => false,
    )
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const [, name, state] = /^\d+ \((.*)\) (\S)/s.exec(text) ?? []
  return name === 'postgres' && state !== 'Z' && state !== 'X'
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
