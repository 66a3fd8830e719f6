/** The context handed to a handler. What most handlers never look at is made at first use: inline calls cost microseconds. */
import type { SecretValues } from '../acts/attempt-mask.ts'
import type { HandlerContext } from './define-handler.ts'

const LOG_MESSAGES = 100
const LOG_LENGTH = 2_000

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
  readonly #writeLog: (message: string) => void
  #controller: AbortController | undefined
  #logged = 0

  constructor(facts: AttemptFacts, writeLog: (message: string) => void) {
    this.executionId = facts.executionId
    this.path = facts.path
    this.attempt = facts.attempt
    this.#deadlineAt = Date.now() + facts.deadlineMs
    this.#secrets = new Map(Object.entries(facts.secrets ?? {}))
    this.#writeLog = writeLog
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
  get log(): (message: string) => void {
    return (message) => {
      if (this.#logged++ < LOG_MESSAGES) this.#writeLog(String(message).slice(0, LOG_LENGTH))
    }
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
