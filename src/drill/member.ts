/** A process of the drill's own, `sluice serve` or `sluice work`, that can be killed, paused and started again. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Way } from './proxy.ts'

const PROGRAM = fileURLToPath(new URL('./member-process.ts', import.meta.url))
/** as in `scripts/bootstrap.mjs` */
const FLAGS = ['--max-semi-space-size=8']
const READY_WITHIN_MS = 120_000
const DRAINED_WITHIN_MS = 15_000
const LOOK_MS = 25

export interface MemberOptions {
  readonly name: string
  readonly command: 'serve' | 'work'
  readonly environment: Readonly<Record<string, string>>
  /** absolute; where what it prints goes */
  readonly logFile: string
  /** what stands between it and PostgreSQL */
  readonly database: Way
  /** it ended, and nobody had asked for it */
  onLost(name: string, how: string): void
}

export interface Member {
  readonly name: string
  readonly database: Way
  /** of the API; another one after each start */
  readonly url: string
  /** of a worker, as `owner` of executions; another one after each start */
  readonly workerId: string
  /** Resolves when it is ready; throws with what it said when it ends before. */
  start(): Promise<void>
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>
  /** SIGSTOP: it does nothing, and does not know it. */
  pause(): void
  resume(): void
  /** SIGTERM, and SIGKILL when that is not enough; also when it was paused. */
  stop(): Promise<void>
}

export function createMember({ name, command, environment, logFile, database, onLost }: MemberOptions): Member {
  let child: ChildProcess | undefined
  let wanted = false
  let url = ''
  let workerId = ''

  async function start(): Promise<void> {
    const said = await sizeOf(logFile)
    const output = openSync(logFile, 'a', 0o600)
    const started = spawn(process.execPath, [...FLAGS, PROGRAM, command], { env: environment, stdio: ['pipe', output, output] })
    closeSync(output)
    child = started
    wanted = true
    let over: string | undefined
    started.once('error', (error) => (over = error.message))
    started.once('exit', (code, signal) => {
      over = signal ?? `exit code ${code}`
      if (wanted && child === started && url + workerId !== '') onLost(name, over)
    })
    url = workerId = ''
    for (const deadline = performance.now() + READY_WITHIN_MS; ; await pause(LOOK_MS)) {
      const text = (await readFile(logFile, 'utf8')).slice(said)
      if (over !== undefined || performance.now() > deadline)
        throw new Error(`${name} did not start: ${text.trim() || (over ?? 'it took too long')}`)
      const found = (command === 'serve' ? /^ +GraphiQL +(\S+)\/graphql$/m : /^ +worker +(\S+)$/m).exec(text)?.[1]
      if (!found) continue
      if (command === 'serve') url = found
      else workerId = found
      return
    }
  }

  async function end(signal: NodeJS.Signals, withinMs = DRAINED_WITHIN_MS): Promise<void> {
    wanted = false
    const ending = child
    if (!ending?.pid || ending.exitCode !== null || ending.signalCode !== null) return
    const gone = once(ending, 'exit')
    ending.kill(signal)
    const late = setTimeout(() => ending.kill('SIGKILL'), withinMs)
    await gone
    clearTimeout(late)
  }

  return {
    name,
    database,
    get url() {
      return url
    },
    get workerId() {
      return workerId
    },
    start,
    kill: () => end('SIGKILL'),
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async stop() {
      child?.kill('SIGCONT')
      await end('SIGTERM')
    },
  }
}

const sizeOf = (file: string): Promise<number> =>
  readFile(file, 'utf8').then(
    (text) => text.length,
    () => 0,
  )
