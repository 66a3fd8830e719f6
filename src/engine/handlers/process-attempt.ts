/** An attempt in a process of its own, where it can be killed and can harm no other. */
import { Attempt, attemptFields } from './attempt.ts'
import type { AttemptSettings, HandlerCall } from './attempt.ts'
import { readLine, readProgress } from '../acts/reports.ts'
import type { FromChild } from './child-messages.ts'
import { failed } from './handler-outcome.ts'
import type { HandlerProcess, ProcessListener } from './handler-process.ts'
import type { RegisteredHandler } from './load-handlers.ts'
import { sayExceeded, useAtEnd } from './resource-limits.ts'

export interface ProcessAttemptSettings extends AttemptSettings {
  maxOutputBytes: number
}

/** What the pool hears of its attempts. */
export interface ProcessAttemptEvents {
  /** it ended before it got a process */
  left(attempt: ProcessAttempt): void
  /** its process may be used again, unless it is spent */
  released(process: HandlerProcess): void
}

/** Messages that a process may send during an attempt, beside its outcome. */
const MOST_WORDS = 500
const WORDS_A_SECOND = 10

export class ProcessAttempt extends Attempt implements ProcessListener {
  readonly #handler: RegisteredHandler
  readonly #call: HandlerCall
  readonly #number: number
  readonly #settings: ProcessAttemptSettings
  readonly #events: ProcessAttemptEvents
  #process: HandlerProcess | undefined
  #beganAt = 0
  #words = 0

  /** Waits until `runIn`; `number` is unique in the pool. */
  constructor(
    handler: RegisteredHandler,
    call: HandlerCall,
    number: number,
    settings: ProcessAttemptSettings,
    events: ProcessAttemptEvents,
  ) {
    super(call, settings)
    this.#handler = handler
    this.#call = call
    this.#number = number
    this.#settings = settings
    this.#events = events
  }

  runIn(process: HandlerProcess): void {
    const { executionId, path, attempt, input, secrets } = this.#call
    const { file, exportName } = this.#handler
    this.#process = process
    this.#beganAt = performance.now()
    this.begin()
    process.listener = this
    process.resetPrintLimit()
    if (secrets) process.knowsSecrets = true
    if (secrets || this.#call.hide) process.isQuiet = true
    process.send({
      kind: 'run',
      number: this.#number,
      file,
      exportName,
      input,
      executionId,
      path,
      attempt,
      deadlineMs: this.leftMs,
      maxOutputBytes: this.#settings.maxOutputBytes,
      ...(secrets && { secrets }),
    })
  }

  hear(message: FromChild): void {
    if (message.kind === 'done' && message.number === this.#number) {
      if (!this.settled) this.#hearEnd(message)
    } else if (++this.#words > MOST_WORDS + (WORDS_A_SECOND * (performance.now() - this.#beganAt)) / 1000) {
      // its context lets less than this through: something else writes to the channel
      if (!this.#process!.spent) this.#process!.kill()
    } else if (message.kind === 'stray') {
      this.#process!.spent = true
      this.#logStack('an earlier attempt left something behind', message.stack ?? message.failure.message)
    } else if (message.number !== this.#number || this.settled) return
    else if (message.kind === 'log') this.hearLine(readLine(message.line?.message, message.line?.fields))
    else if (message.kind === 'progress') this.hearProgress(readProgress(message.progress) ?? {})
  }

  #hearEnd({ stack, spent, use, outcome, droppedLines }: FromChild & { kind: 'done' }): void {
    if (stack !== undefined) this.#logStack('handler failed', stack)
    // a handler that was told to stop may still be at work after it answered; and no other attempt gets at secrets left in memory
    if (spent || this.stopping || this.#process!.knowsSecrets) this.#process!.spent = true
    this.#process!.measured(use)
    this.#call.used?.(use)
    this.finish(outcome, droppedLines)
    this.#events.released(this.#process!)
  }

  lost(how: string): void {
    const { exceeded, limits } = this.#process!
    if (!this.settled) this.#call.used?.(useAtEnd(limits, exceeded))
    if (exceeded) this.#settings.log.warn({ ...attemptFields(this.#call), resource: exceeded }, 'a handler took more than it may')
    const code = exceeded ? 'RESOURCE_EXCEEDED' : 'HANDLER_CRASHED'
    this.finish(failed(code, exceeded ? sayExceeded(limits, exceeded, how) : `The handler's process ended while it ran: ${how}.`))
  }

  protected tell(reason: string): void {
    this.#process?.send({ kind: 'abort', number: this.#number, reason })
  }

  protected abandon(): void {
    if (!this.#process) return this.#events.left(this)
    this.#call.used?.({ cpuMs: this.#process.unmeasuredCpuMs(), memoryBytes: 0 })
    this.#process.kill()
  }

  #logStack(what: string, stack: string): void {
    this.#settings.log.debug({ ...attemptFields(this.#call), stack: this.mask.line(stack) }, what)
  }
}
