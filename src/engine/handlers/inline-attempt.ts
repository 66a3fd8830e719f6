/** An attempt in the worker's own thread, for handlers declared `inline`: nothing can kill it, so it can only be asked to stop. */
import type { Json } from '../../language/values.ts'
import { Attempt, attemptFields } from './attempt.ts'
import type { AttemptSettings, HandlerCall } from './attempt.ts'
import type { Handler } from './define-handler.ts'
import { AttemptContext } from './handler-context.ts'
import { checkedOutput, stackOf, thrown } from './handler-outcome.ts'

export interface InlineSettings extends AttemptSettings {
  maxOutputBytes: number
}

export class InlineAttempt extends Attempt {
  readonly #context: AttemptContext

  /** Runs the handler at once, up to its first `await`. */
  constructor(handler: Handler, call: HandlerCall, settings: InlineSettings) {
    super(call, settings)
    this.#context = new AttemptContext(call, {
      line: (line) => this.hearLine(line),
      progress: (progress) => this.hearProgress(progress),
    })
    this.begin()
    const succeed = (output: unknown): void => {
      if (!this.settled) this.finish(checkedOutput(output, settings.maxOutputBytes), this.#context.end())
    }
    const fail = (error: unknown): void => {
      if (this.settled) return
      const stack = settings.log.isLevelEnabled('debug') ? stackOf(error) : undefined
      if (stack !== undefined) settings.log.debug({ ...attemptFields(call), stack: this.mask.line(stack) }, 'handler failed')
      this.finish(thrown(error), this.#context.end())
    }
    try {
      const output: unknown = handler.run(freezeDeep(call.input), this.#context)
      if (isThenable(output)) Promise.resolve(output).then(succeed, fail)
      else succeed(output)
    } catch (error) {
      fail(error)
    }
  }

  protected tell(reason: string): void {
    this.#context.abort(reason)
  }

  /** Its promise may still be running; what it does from now on is dropped. */
  protected abandon(): void {}
}

function isThenable(value: unknown): boolean {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** The input is part of the execution's state, and the handler shares it: a write must fail instead of changing history. */
function freezeDeep(value: Json): Json {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  if (Array.isArray(value)) for (const item of value) freezeDeep(item)
  else for (const key in value) freezeDeep(value[key]!)
  return value
}
