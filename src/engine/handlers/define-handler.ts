/** What an operator writes: a handler, the code that a step of type `handler` names. This file is the whole API. */
import type { Json, JsonObject } from '../../language/values.ts'

/** What a handler knows about the attempt it runs for. */
export interface HandlerContext {
  readonly executionId: string
  /** Names the step run inside its execution: `charge`, `poll[3].items[17]`. */
  readonly path: string
  /** 1 for the first attempt of this step run. */
  readonly attempt: number
  /** `<executionId>/<path>`: the same for every attempt of this step run. Hand it to what you call, so that a repeat has no second effect. */
  readonly idempotencyKey: string
  /**
   * Aborted when the step's timeout passes, its execution is canceled, or Sluice stops. Pass it on (`fetch(url, { signal })`) and
   * stop soon: a second later (by default) the process is killed. What is returned after the abort is dropped.
   */
  readonly signal: AbortSignal
  /** When `signal` will be aborted at the latest. */
  readonly deadline: Date
  /**
   * The value of a secret that the step names in `secrets`; throws for any other. It is here for this attempt only: it is in no input,
   * and where it comes up in what the handler returns, throws or logs, it is masked.
   */
  secret(name: string): string
  /**
   * Writes a line to the execution's history, where whoever follows it sees it while the step runs, and to Sluice's log. At most 100
   * lines an attempt; the history keeps 800 characters of a message and `fields` up to 800 bytes of JSON. What is dropped is counted.
   */
  log(message: string, fields?: JsonObject): void
  /** Tells how far it is: a number from 0 to 1, or counts, with a few words if you like. The last word of each second is kept. */
  progress(value: number | { done: number; total: number; message?: string } | { message: string }): void
}

/** Throw it to say more of a failure than its message. Any error with these properties says the same. */
export class StepError extends Error {
  /** false: another attempt is useless */
  readonly retryable?: boolean
  /** the next attempt comes not before this, as far as the step's `maxDelay` allows */
  readonly retryAfterMs?: number

  constructor(message: string, { retryable, retryAfterMs, ...options }: ErrorOptions & StepErrorOptions = {}) {
    super(message, options)
    this.name = 'StepError'
    if (retryable !== undefined) this.retryable = retryable
    if (retryAfterMs !== undefined) this.retryAfterMs = retryAfterMs
  }
}
export interface StepErrorOptions {
  retryable?: boolean
  retryAfterMs?: number
}

/** A handler. `Input` is what the step's `with` gives; nothing checks it against the type, so check what you rely on. */
export interface Handler<Input extends Json = Json, Output = unknown> {
  /** What steps call it by: 1-64 of A-Z a-z 0-9 _; unique among all handlers of the server. */
  name: string
  /**
   * Only for trusted code that is quick and never blocks: runs in the worker's own thread, where nothing can kill it and a
   * `for (;;) {}` stops the server. About a hundred times cheaper a call. Its input is frozen. Default: false, a process of its own.
   */
  inline?: boolean
  run(input: Input, context: HandlerContext): Output | Promise<Output>
}

/**
 * Types a handler; at run time it gives back its argument (a plain object `{ name, run }` is a handler as well).
 *
 *     export default defineHandler({
 *       name: 'charge_card',
 *       run: async (input: { orderId: string; cents: number }, { idempotencyKey, signal }) => {
 *         const answer = await fetch(`${PAYMENTS}/charges`, {
 *           method: 'POST', signal, headers: { 'idempotency-key': idempotencyKey }, body: JSON.stringify(input),
 *         })
 *         if (answer.status === 402) throw new StepError('The card was declined.', { retryable: false })
 *         if (answer.status === 429) throw new StepError('Too many charges.', { retryAfterMs: 5000 })
 *         if (!answer.ok) throw new Error(`The payment service answered ${answer.status}.`)
 *         return await answer.json()
 *       },
 *     })
 *
 * - A file of the handlers' directory (`*.ts`, `*.js`, `*.mjs`; shared code belongs into a subdirectory) exports one or several.
 * - Every attempt has its process for itself, so a crash, a hang or `process.exit()` harms no other. Processes are reused:
 *   module state lives on between attempts, of other executions too. Leave nothing running when `run` ends.
 * - An attempt may be repeated after a crash or a retry: make effects idempotent with `idempotencyKey`.
 * - Return JSON (`undefined` counts as null), at most 1,000,000 bytes, at most 100 levels deep.
 * - Throw to fail. The error's message is kept with the step and shown to those who may see the execution.
 *   The stack goes to the log only. `retryable = false` on the error says that another attempt is useless, `retryAfterMs` when it is not.
 * - Its environment holds PATH, HOME, TZ, LANG, NODE_ENV and what SLUICE_HANDLER_ENV names (comma-separated), nothing else.
 */
export function defineHandler<Input extends Json = Json, Output = unknown>(
  handler: Handler<Input, Output>,
): Handler<Input, Output> {
  return handler
}
