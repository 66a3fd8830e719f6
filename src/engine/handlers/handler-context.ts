/** The context handed to a handler. What most handlers never look at is made at first use: inline calls cost microseconds. */
import type { SecretValues } from '../acts/attempt-mask.ts'
import { readLine, readProgress } from '../acts/reports.ts'
import type { LogLine, Progress } from '../acts/reports.ts'
import type { HandlerContext } from './define-handler.ts'

/** More lines are only counted. */
const LOG_LINES = 100
/** Between two words of progress that leave the handler. */
const PROGRESS_EVERY_MS = 200

/** Where what the handler says goes. */
export interface Listener {
  line(line: LogLine): void
  progress(progress: Progress): void
}

export interface AttemptFacts {
  readonly executionId: string
  readonly path: string
  readonly attempt: number
  /** what is left of the step's timeout, in ms */
  readonly deadlineMs: number
  /** what the step names, by name; it goes to the handler and nowhere else */
  readonly secrets?: SecretValues
}

export class AttemptContext implements HandlerContext {
  readonly executionId: string
  readonly path: string
  readonly attempt: number
  readonly #deadlineAt: number
  readonly #secrets: ReadonlyMap<string, string>
  readonly #listener: Listener
  #controller: AbortController | undefined
  #lines = 0
  /** said, and not passed on yet */
  #progress: Progress | undefined
  #passedOnAt = Number.NEGATIVE_INFINITY
  #timer: NodeJS.Timeout | undefined

  constructor(facts: AttemptFacts, listener: Listener) {
    this.executionId = facts.executionId
    this.path = facts.path
    this.attempt = facts.attempt
    this.#deadlineAt = Date.now() + facts.deadlineMs
    this.#secrets = new Map(Object.entries(facts.secrets ?? {}))
    this.#listener = listener
  }

  get idempotencyKey(): string {
    return `${this.executionId}/${this.path}`
  }

  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal
  }

  get deadline(): Date {
    return new Date(this.#deadlineAt)
  }

  /** A getter, so that `const { log } = context` works. */
  get log(): HandlerContext['log'] {
    return (message, fields) => {
      if (this.#lines++ < LOG_LINES) this.#listener.line(readLine(message, fields))
    }
  }

  get progress(): HandlerContext['progress'] {
    return (value) => {
      this.#progress = readProgress(value) ?? this.#progress
      const since = performance.now() - this.#passedOnAt
      if (since >= PROGRESS_EVERY_MS) this.#passOn()
      else this.#timer ??= setTimeout(() => this.#passOn(), PROGRESS_EVERY_MS - since).unref()
    }
  }

  #passOn(): void {
    this.#stopTimer()
    if (this.#progress) this.#listener.progress(this.#progress)
    this.#progress = undefined
    this.#passedOnAt = performance.now()
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** At its end: what it said last is passed on. Returns how many lines were only counted. */
  end(): number {
    if (this.#progress) this.#passOn()
    this.#stopTimer()
    return Math.max(0, this.#lines - LOG_LINES)
  }

  /** A function, so that nothing that prints or copies the context shows one. */
  get secret(): (name: string) => string {
    return (name) => {
      const value = this.#secrets.get(name)
      if (value === undefined) throw new Error(`The step does not name a secret "${String(name).slice(0, 64)}".`)
      return value
    }
  }

  get aborted(): boolean {
    return this.#controller?.signal.aborted ?? false
  }

  abort(reason: string): void {
    ;(this.#controller ??= new AbortController()).abort(new DOMException(reason, 'AbortError'))
  }
}
