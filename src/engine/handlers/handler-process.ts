/** A child process for handlers, seen from the worker: start, talk, kill, and how it ended. */
import { fork } from 'node:child_process'
import { readFileSync } from 'node:fs'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Logger } from '../../log.ts'
import type { FromChild, ToChild } from './child-messages.ts'
import { EXCEEDED_BY, limitsOf } from './resource-limits.ts'
import type { Resource, ResourceLimits, ResourceUse } from './resource-limits.ts'

export interface ProcessSettings {
  /** all of the child's environment: see `childEnvironment` */
  environment: Readonly<Record<string, string>>
  /** of its JavaScript heap */
  memoryLimitMb: number
  /** of one attempt, default 60,000 */
  cpuLimitMs?: number
  /** Private to Sluice: who writes there runs code here. With it a process starts in 40 ms instead of 90 and takes 12 MB instead of 28. */
  compileCacheDirectory?: string
  log: Logger
}

export interface ProcessListener {
  hear(message: FromChild): void
  lost(how: string): void
}

export const SILENT: ProcessListener = { hear: () => {}, lost: () => {} }

const CHILD = fileURLToPath(new URL('./handler-child.ts', import.meta.url))
/** Printed output is kept this far back, to tell why a process died. */
const TAIL_LENGTH = 4_096
/** A process that prints more than this during one attempt is not listened to any more: reading it would slow the worker. */
const PRINT_LIMIT = 1_000_000
/** Output streams may be held open by something that left the process group; the end is not waited for longer. */
const CLOSE_MS = 500

export class HandlerProcess {
  /** Settles once it is gone, with how: `exit code 1`, `signal SIGKILL`, `out of memory ...`. Never rejects. */
  readonly ended: Promise<string>
  /** To whom it talks at present, and who hears that it is gone (just before `ended` settles). */
  listener: ProcessListener = SILENT
  /** Must not be given another attempt. */
  spent = false
  /** It was given some, and is not used again. */
  knowsSecrets = false
  /** What it prints comes in pieces, which cannot be masked: it is not logged. */
  isQuiet = false
  readonly #child: ChildProcess | undefined
  readonly #log: Logger
  #printed = 0
  #tail = ''
  #gone = false
  #measuredMs = 0
  /** why it ended itself */
  #exceeded: Resource | undefined
  readonly limits: ResourceLimits

  constructor({ environment, memoryLimitMb, cpuLimitMs = 60_000, compileCacheDirectory, log }: ProcessSettings) {
    this.#log = log
    this.limits = limitsOf(memoryLimitMb, cpuLimitMs)
    try {
      this.#child = fork(CHILD, [process.pid, this.limits.cpuMs, this.limits.memoryBytes].map(String), {
        env: compileCacheDirectory ? { ...environment, NODE_COMPILE_CACHE: compileCacheDirectory } : environment,
        // the worker's own flags (inspector, loaders) are not for handlers
        execArgv: [`--max-old-space-size=${memoryLimitMb}`, '--disable-warning=ExperimentalWarning'],
        // a group of its own: Ctrl-C in the terminal does not reach it, and killing the group ends what the handler has started
        detached: true,
        serialization: 'advanced',
        stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      })
    } catch (error) {
      this.ended = this.#tellEnd(Promise.resolve(`it could not be started: ${(error as NodeJS.ErrnoException).code}`))
      return
    }
    this.ended = this.#tellEnd(this.#watch(this.#child, memoryLimitMb))
  }

  /** What it took more of than it may; known when it has ended. */
  get exceeded(): Resource | undefined {
    return this.#exceeded
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** A message to a process that is gone is dropped: `ended` tells. */
  send(message: ToChild): void {
    try {
      if (this.#child?.connected) this.#child.send(message, () => {})
    } catch (error) {
      // only for what is not JSON in an input, which nobody above lets through
      this.#log.error({ err: error }, 'a message to a handler process could not be written')
      this.kill()
    }
  }

  /** Before each attempt. */
  resetPrintLimit(): void {
    this.#printed = 0
  }

  /** An attempt has ended by itself. */
  measured({ cpuMs }: ResourceUse): void {
    this.#measuredMs += cpuMs
  }

  /** What it took since the last measured attempt, as Linux counts it: of one that is about to be killed. 0 where nobody can tell. */
  unmeasuredCpuMs(): number {
    try {
      // man 5 proc: behind the name in brackets, utime and stime are the 12th and the 13th, in ticks of 10 ms
      const fields = readFileSync(`/proc/${this.pid}/stat`, 'latin1').split(') ').at(-1)!.split(' ')
      return Math.max(0, (Number(fields[11]) + Number(fields[12])) * 10 - this.#measuredMs)
    } catch {
      return 0
    }
  }

  /** SIGKILL to it and to what it started. Not after it is gone: its pid may be somebody else's by then. */
  kill(): void {
    this.spent = true
    if (this.#gone || this.pid === undefined) return
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch {
      this.#child?.kill('SIGKILL')
    }
  }

  async #tellEnd(end: Promise<string>): Promise<string> {
    const how = await end
    this.spent = true
    this.listener.lost(how)
    return how
  }

  async #watch(child: ChildProcess, memoryLimitMb: number): Promise<string> {
    child.on('message', (message) => this.listener.hear(message as FromChild))
    for (const stream of [child.stdout, child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#hear(text, stream))
      stream?.on('error', () => {})
    }
    const how = await new Promise<string>((resolve) => {
      // `close` comes when all that it said has been read, and may be late
      child.once('close', (code, signal) => resolve(this.#endOf(code, signal)))
      child.once('error', (error: NodeJS.ErrnoException) => {
        if (child.pid === undefined) resolve(`it could not be started: ${error.code}`)
      })
      child.once('exit', (code, signal) => {
        this.kill()
        this.#gone = true
        setTimeout(() => resolve(this.#endOf(code, signal)), CLOSE_MS).unref()
      })
    })
    if (!this.#tail.includes('heap out of memory')) return how
    this.#exceeded = 'memory'
    return `out of memory (limit ${memoryLimitMb} MB), ${how}`
  }

  #endOf(code: number | null, signal: string | null): string {
    if (signal === EXCEEDED_BY.cpu) this.#exceeded = 'cpu'
    if (signal === EXCEEDED_BY.memory) this.#exceeded = 'memory'
    return signal ? `signal ${signal}` : `exit code ${code}`
  }

  #hear(text: string, stream: NonNullable<ChildProcess['stdout']>): void {
    this.#printed += text.length
    this.#tail = (this.#tail + text).slice(-TAIL_LENGTH)
    const said = this.isQuiet ? { count: text.length } : { output: text.slice(0, TAIL_LENGTH) }
    this.#log.debug({ pid: this.pid, ...said }, 'handler output')
    if (this.#printed <= PRINT_LIMIT) return
    this.spent = true
    stream.destroy()
  }
}
