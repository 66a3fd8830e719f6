/** The host of handlers: runs each call where the operator's declaration allows it, and always comes back with an outcome. */
import type { Logger } from '../../log.ts'
import type { Attempt, HandlerCall, RunningHandler } from './attempt.ts'
import { DueTimer } from './due-timer.ts'
import { failed } from './handler-outcome.ts'
import type { HandlerFailure } from './handler-outcome.ts'
import { InlineAttempt } from './inline-attempt.ts'
import type { HandlerRegistry } from './load-handlers.ts'
import { ProcessPool } from './process-pool.ts'

export interface HandlerHostSettings {
  registry: HandlerRegistry
  /** the whole environment of handler processes: see `childEnvironment` */
  environment: Readonly<Record<string, string>>
  log: Logger
  /** handlers at work at the same time, default 8; further calls wait, and the caller bounds how many */
  maxProcesses?: number
  /** an idle process ends after this long, default 30,000 */
  idleMs?: number
  /** between telling a handler to stop and killing its process, default 1,000 */
  graceMs?: number
  /** of each process's JavaScript heap, default 512 */
  memoryLimitMb?: number
  /** CPU time of one attempt, default 60,000 */
  cpuLimitMs?: number
  /** see `ProcessSettings` */
  compileCacheDirectory?: string
  /** default 1,000,000 */
  maxOutputBytes?: number
}

export interface HandlerHost {
  /** Starts the attempt, or queues it until a process is free; `deadlineMs` counts from now, queue included. Never throws. */
  run(call: HandlerCall): RunningHandler
  /** how many calls to non-inline handlers would start at once */
  readonly free: number
  /** called when `free` has become more because a process is gone, which may be after the outcome of its attempt */
  onFree?: () => void
  /** Aborts what runs (CANCELED), waits until every process is gone. From then on `run` answers CANCELED. */
  close(): Promise<void>
}

export function createHandlerHost(settings: HandlerHostSettings): HandlerHost {
  const { registry } = settings
  const timer = new DueTimer()
  const attempts = new Set<Attempt>()
  const shared = {
    ...settings,
    timer,
    maxProcesses: settings.maxProcesses ?? 8,
    idleMs: settings.idleMs ?? 30_000,
    graceMs: settings.graceMs ?? 1_000,
    memoryLimitMb: settings.memoryLimitMb ?? 512,
    maxOutputBytes: settings.maxOutputBytes ?? 1_000_000,
  }
  const pool = new ProcessPool({ ...shared, onFree: () => host.onFree?.() })
  let closing: Promise<void> | undefined

  function run(call: HandlerCall): RunningHandler {
    if (closing) return refused(failed('CANCELED', 'The worker is stopping.'))
    const registered = registry.get(call.handler)
    if (!registered) return refused(failed('HANDLER_NOT_REGISTERED', `No handler "${call.handler}" is registered here.`))
    if (!(call.deadlineMs > 0)) return refused(failed('TIMEOUT', 'The time for it had passed before it could begin.'))
    const inline = call.isolated ? undefined : registered.handler
    const attempt = inline ? new InlineAttempt(inline, call, shared) : pool.run(registered, call)
    if (attempt.settled) return attempt
    attempts.add(attempt)
    void attempt.outcome.then(() => attempts.delete(attempt))
    return attempt
  }

  async function close(): Promise<void> {
    for (const attempt of attempts) attempt.abort('The worker is stopping.')
    await Promise.all([...attempts].map((attempt) => attempt.outcome))
    await pool.close()
  }

  const host: HandlerHost = {
    run,
    get free() {
      return pool.free
    },
    close: () => (closing ??= close()),
  }
  return host
}

function refused(failure: HandlerFailure): RunningHandler {
  return { outcome: Promise.resolve(failure), abort: () => {} }
}
