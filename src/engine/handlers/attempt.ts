/** One attempt of a handler on its way to an outcome: deadline, abort, grace. Where it runs is its subclasses' matter. */
import type { Json } from '../../language/values.ts'
import type { LogFields, Logger } from '../../log.ts'
import { Reports } from '../acts/reports.ts'
import type { LogLine, Progress, Report } from '../acts/reports.ts'
import type { Due, DueTimer } from './due-timer.ts'
import type { AttemptFacts } from './handler-context.ts'
import { failed } from './handler-outcome.ts'
import type { ResourceUse } from './resource-limits.ts'
import type { HandlerFailure, HandlerOutcome } from './handler-outcome.ts'
import { AttemptMask } from '../acts/attempt-mask.ts'

export interface HandlerCall extends AttemptFacts {
  handler: string
  input: Json
  /** never inline, even if the handler is declared so (an attempt that was in flight at a crash) */
  isolated?: boolean
  /** takes out of a line for the log what may not stand there */
  hide?: (text: string) => string
  /** told what it took, once, unless it runs inline or never began */
  used?: (use: ResourceUse) => void
  /** hears what it says while it runs; `last` comes before its outcome */
  report?: (report: Report, last: boolean) => void
}

export interface RunningHandler {
  /** Never rejects; settles at the latest when deadline and grace have passed. */
  readonly outcome: Promise<HandlerOutcome>
  /** Asks the handler to stop; the outcome will be CANCELED with this reason unless it is settled or timed out already. */
  abort(reason: string): void
}

/** What a log line about an attempt says of it: names and numbers, no contents. */
export function attemptFields({ handler, executionId, path, attempt }: HandlerCall): LogFields {
  return { handler, executionId, path, attempt }
}

const NO_SECRETS = new AttemptMask()

export interface AttemptSettings {
  graceMs: number
  timer: DueTimer
  log: Logger
}

/**
 *     waiting --begin()--> running --deadline: TIMEOUT, abort(): CANCELED--> stopping --finish() or grace over--> settled
 *        \--deadline, abort()------------\--finish()--------------------------------------------------------------^
 */
export abstract class Attempt implements RunningHandler, Due {
  readonly outcome: Promise<HandlerOutcome>
  /** for whatever the handler says */
  protected readonly mask: AttemptMask
  dueAt: number
  readonly #deadlineMs: number
  readonly #graceMs: number
  readonly #timer: DueTimer
  readonly #call: HandlerCall
  readonly #log: Logger
  #reports: Reports | undefined
  #resolve!: (outcome: HandlerOutcome) => void
  #begun = false
  #settled = false
  /** why it was told to stop: the outcome from then on, whatever the handler answers */
  #verdict: HandlerFailure | undefined

  constructor(call: HandlerCall, { graceMs, timer, log }: AttemptSettings) {
    const { deadlineMs, secrets, hide } = call
    this.#call = call
    this.#log = log
    this.mask = secrets || hide ? new AttemptMask(secrets, hide) : NO_SECRETS
    this.outcome = new Promise((resolve) => (this.#resolve = resolve))
    this.#deadlineMs = deadlineMs
    this.#graceMs = graceMs
    this.#timer = timer
    this.dueAt = performance.now() + deadlineMs
    timer.add(this)
  }

  /** Tells the handler to stop. */
  protected abstract tell(reason: string): void
  /** The outcome is settled though the handler never began, or never answered. */
  protected abstract abandon(): void

  get settled(): boolean {
    return this.#settled
  }

  /** ms left until the deadline */
  get leftMs(): number {
    return this.dueAt - performance.now()
  }

  abort(reason: string): void {
    if (!this.#verdict) this.#stop(failed('CANCELED', reason))
  }

  due(): void {
    const ms = Math.round(this.#deadlineMs)
    if (this.#verdict) this.#giveUp(this.#verdict)
    else
      this.#stop(
        failed(
          'TIMEOUT',
          this.#begun ? `The handler did not end within ${ms} ms.` : `No process was free for it within ${ms} ms.`,
        ),
      )
  }

  /** From now on stopping means telling the handler first. */
  protected begin(): void {
    this.#begun = true
  }

  /** The handler wrote a line. */
  protected hearLine(line: LogLine): void {
    if (this.#settled) return
    const { message, fields } = line
    this.#log.info(attemptFields(this.#call), this.mask.line(fields ? `${message} ${JSON.stringify(fields)}` : message))
    this.#toReport()?.line(this.mask.told(line))
  }

  protected hearProgress(progress: Progress): void {
    if (!this.#settled) this.#toReport()?.progress(this.mask.told(progress))
  }

  /** Made when there is something to tell: most handlers say nothing. */
  #toReport(): Reports | undefined {
    const { report } = this.#call
    return (this.#reports ??= report && new Reports((said) => report(said, false)))
  }

  /** The handler answered or died. Later answers change nothing. `droppedLines`: said, and too many to be passed on. */
  finish(outcome: HandlerOutcome, droppedLines = 0): void {
    if (this.#settled) return
    this.#settled = true
    const last = (droppedLines > 0 ? this.#toReport() : this.#reports)?.close(droppedLines)
    if (last) this.#call.report?.(last, true)
    this.#timer.delete(this)
    this.#resolve(this.#verdict ?? this.mask.outcome(outcome))
  }

  get stopping(): boolean {
    return this.#verdict !== undefined
  }

  #stop(verdict: HandlerFailure): void {
    if (this.#settled) return
    if (!this.#begun) return this.#giveUp(verdict)
    this.#verdict = verdict
    this.#timer.delete(this)
    this.dueAt = performance.now() + this.#graceMs
    this.#timer.add(this)
    this.tell(verdict.message)
  }

  #giveUp(verdict: HandlerFailure): void {
    this.finish(verdict)
    this.abandon()
  }
}
