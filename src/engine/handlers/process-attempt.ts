/** An attempt in a process of its own, where it can be killed and can harm no other. */
import type { Logger } from '../../log.ts'
import { Attempt, attemptFields } from './attempt.ts'
import type { HandlerCall } from './attempt.ts'
import type { FromChild } from './child-messages.ts'
import type { DueTimer } from './due-timer.ts'
import { failed } from './handler-outcome.ts'
import type { HandlerProcess, ProcessListener } from './handler-process.ts'
import type { RegisteredHandler } from './load-handlers.ts'
import { sayExceeded, useAtEnd } from './resource-limits.ts'

export interface ProcessAttemptSettings {
  graceMs: number
  maxOutputBytes: number
  timer: DueTimer
  log: Logger
}

/** What the pool hears of its attempts. */
export interface ProcessAttemptEvents {
  /** it ended before it got a process */
  left(attempt: ProcessAttempt): void
  /** its process may be used again, unless it is spent */
  released(process: HandlerProcess): void
}

export class ProcessAttempt extends Attempt implements ProcessListener {
  readonly #handler: RegisteredHandler
  readonly #call: HandlerCall
  readonly #number: number
  readonly #settings: ProcessAttemptSettings
  readonly #events: ProcessAttemptEvents
  #process: HandlerProcess | undefined

  /** Waits until `runIn`; `number` is unique in the pool. */
  constructor(
    handler: RegisteredHandler,
    call: HandlerCall,
    number: number,
    settings: ProcessAttemptSettings,
    events: ProcessAttemptEvents,
  ) {
    super(call, settings.graceMs, settings.timer)
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
    if (message.kind === 'stray') {
      this.#process!.spent = true
      this.#logStack('an earlier attempt left something behind', message.stack ?? message.failure.message)
    } else if (message.number !== this.#number || this.settled) return
    else if (message.kind === 'log') this.#settings.log.info(attemptFields(this.#call), this.mask.line(message.message))
    else if (message.kind === 'done') {
      if (message.stack !== undefined) this.#logStack('handler failed', message.stack)
      // a handler that was told to stop may still be at work after it answered; and no other attempt gets at secrets left in memory
      if (message.spent || this.stopping || this.#process!.knowsSecrets) this.#process!.spent = true
      this.#process!.measured(message.use)
      this.#call.used?.(message.use)
      this.finish(message.outcome)
      this.#events.released(this.#process!)
    }
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
