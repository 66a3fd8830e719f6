/** The processes that attempts run in: started when needed, one attempt at a time each, reused, ended when idle. */
import type { Attempt, HandlerCall } from './attempt.ts'
import type { Due } from './due-timer.ts'
import { HandlerProcess, SILENT } from './handler-process.ts'
import type { ProcessSettings } from './handler-process.ts'
import type { RegisteredHandler } from './load-handlers.ts'
import { ProcessAttempt } from './process-attempt.ts'
import type { ProcessAttemptSettings } from './process-attempt.ts'

export interface PoolSettings extends ProcessSettings, ProcessAttemptSettings {
  maxProcesses: number
  idleMs: number
  /** a process is gone */
  onFree(): void
}

export class ProcessPool {
  readonly #settings: PoolSettings
  /** all that are not known to be gone, also those just killed: they count towards the limit */
  readonly #processes = new Set<HandlerProcess>()
  readonly #idle: IdleProcess[] = []
  readonly #waiting = new Set<ProcessAttempt>()
  #number = 0

  constructor(settings: PoolSettings) {
    this.#settings = settings
  }

  /** How many calls would start at once. */
  get free(): number {
    return Math.max(0, this.#settings.maxProcesses - this.#processes.size + this.#idle.length - this.#waiting.size)
  }

  run(handler: RegisteredHandler, call: HandlerCall): Attempt {
    const attempt = new ProcessAttempt(handler, call, ++this.#number, this.#settings, this)
    this.#waiting.add(attempt)
    this.#startWaiting()
    return attempt
  }

  /** Kills the idle processes and waits until every process is gone; running attempts must be aborted before. */
  async close(): Promise<void> {
    for (const { process } of this.#idle) process.kill()
    await Promise.all([...this.#processes].map((process) => process.ended))
  }

  left(attempt: ProcessAttempt): void {
    this.#waiting.delete(attempt)
  }

  released(process: HandlerProcess): void {
    process.listener = SILENT
    if (process.spent) return process.kill()
    const end = (): void => {
      this.#forgetIdle(idle)
      process.kill()
    }
    const idle: IdleProcess = { process, dueAt: performance.now() + this.#settings.idleMs, due: end }
    // whatever it says now is of something that an attempt left behind
    process.listener = { hear: end, lost: end }
    this.#idle.push(idle)
    this.#settings.timer.add(idle)
    this.#startWaiting()
  }

  #startWaiting(): void {
    for (const attempt of this.#waiting) {
      const process = this.#idleProcess() ?? this.#newProcess()
      if (!process) return
      this.#waiting.delete(attempt)
      attempt.runIn(process)
    }
  }

  /** The one used last, so that the others become idle long enough to end. */
  #idleProcess(): HandlerProcess | undefined {
    for (let idle = this.#idle.pop(); idle; idle = this.#idle.pop()) {
      this.#settings.timer.delete(idle)
      if (!idle.process.spent) return idle.process
      idle.process.kill()
    }
    return undefined
  }

  #newProcess(): HandlerProcess | undefined {
    if (this.#processes.size >= this.#settings.maxProcesses) return undefined
    const process = new HandlerProcess(this.#settings)
    this.#processes.add(process)
    void process.ended.then(() => {
      this.#processes.delete(process)
      this.#startWaiting()
      this.#settings.onFree()
    })
    return process
  }

  #forgetIdle(idle: IdleProcess): void {
    this.#settings.timer.delete(idle)
    const at = this.#idle.indexOf(idle)
    if (at >= 0) this.#idle.splice(at, 1)
  }
}

interface IdleProcess extends Due {
  process: HandlerProcess
}
