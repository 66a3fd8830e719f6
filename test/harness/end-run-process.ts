/**
 * Ends whatever a test run has left running and removes its directory: `end-run-process.ts <directory>`. With `--when-gone` only once
 * the other end of standard input is closed, as it is when the run is gone, however it ended. A run that says `over` before ends its
 * own children itself.
 */
import { readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs'
import { basename, sep } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as pause } from 'node:timers/promises'

const [directory, whenGone] = process.argv.slice(2)
if (!directory || !basename(directory).startsWith('sluice-test-')) throw new Error(`not the directory of a run: ${directory}`)
const said = whenGone === '--when-gone' ? await text(process.stdin) : ''
const run = said === 'over' ? basename(directory).split('-')[2] : undefined

// Who is about to start something is ended first, or what it started in the next round.
for (let left = processesOf(directory); left.length > 0; left = processesOf(directory)) {
  for (const pid of left) endNow(pid)
  await pause(20)
}
rmSync(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })

/** Those that were told of the directory by their environment, and servers that work in it. (None where there is no /proc.) */
function processesOf(directory: string): number[] {
  const pids = onlyWhere(() => readdirSync('/proc'), []).filter((name) => /^\d+$/.test(name))
  return pids
    .map(Number)
    .filter((pid) => pid !== process.pid && (textOf(pid, 'environ').includes(directory) || worksIn(pid, directory)))
    .filter((pid) => run === undefined || !textOf(pid, 'status').includes(`\nPPid:\t${run}\n`))
}

/** By its name: a person may look around there in a shell. */
function worksIn(pid: number, directory: string): boolean {
  if (!/^(postgres|redis-server|pgbouncer)$/m.test(textOf(pid, 'comm'))) return false
  return onlyWhere(() => readlinkSync(`/proc/${pid}/cwd`), '').startsWith(directory + sep)
}

function textOf(pid: number, file: string): string {
  return onlyWhere(() => readFileSync(`/proc/${pid}/${file}`, 'utf8'), '')
}

function endNow(pid: number): void {
  onlyWhere(() => process.kill(pid, 'SIGKILL'), false)
}

/** Processes come and go, and others' are closed to us. */
function onlyWhere<T>(read: () => T, otherwise: T): T {
  try {
    return read()
  } catch (error) {
    if (!['ENOENT', 'ESRCH', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
    return otherwise
  }
}
