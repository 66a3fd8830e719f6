/** The attempts that run in this process: launched after the commit that wrote them down, each ends as an outcome in its mailbox. */
import { encodeId } from '../ids.ts'
import type { Json } from '../language/program.ts'
import type { Launch } from './decide/draft.ts'
import type { Input, Outcome } from './decide/input.ts'
import type { HandlerHost } from './handlers/handler-host.ts'
import type { HandlerOutcome } from './handlers/handler-outcome.ts'
import type { RunningHandler } from './handlers/attempt.ts'
import type { HandlerRegistry } from './handlers/load-handlers.ts'

export interface AttemptsOptions {
  host: HandlerHost
  registry: HandlerRegistry
  ended(executionId: string, outcome: Input & { kind: 'outcome' }): void
  /** asks for leave to run a suspect alone; true: its launch follows */
  isolate(executionId: string, path: string, attempt: number): Promise<boolean>
}

export interface Attempts {
  launch(executionId: string, launch: Launch): void
  abort(executionId: string, path: string, reason: string): void
  /** Aborts all of an execution's attempts; their outcomes are not told any more. */
  forget(executionId: string): void
  running(executionId: string): ReadonlySet<string>
  readonly size: number
}

interface Running {
  handle: RunningHandler | undefined
  attempt: number
  epoch: number
}

export function createAttempts({ host, registry, ended, isolate }: AttemptsOptions): Attempts {
  const byExecution = new Map<string, Map<string, Running>>()
  /** waiting for a free process: their time has not begun */
  const queue: { executionId: string; launch: Launch; running: Running }[] = []
  /** suspects, one at a time */
  const lane: { executionId: string; launch: Launch }[] = []
  let laneBusy = false
  let size = 0

  return {
    launch(executionId, launch) {
      if (launch.suspect) {
        lane.push({ executionId, launch })
        return void nextSuspect()
      }
      const { entry, step } = launch
      const running: Running = { handle: undefined, attempt: entry.attempt, epoch: entry.epoch }
      let paths = byExecution.get(executionId)
      if (!paths) byExecution.set(executionId, (paths = new Map()))
      paths.set(entry.path, running)
      size++
      const inline = step.spec.type === 'handler' && registry.get(step.spec.handler)?.inline && !entry.alone && !entry.crashes
      if (inline || host.free > 0) run(executionId, launch, running)
      else queue.push({ executionId, launch, running })
    },
    abort(executionId, path, reason) {
      const running = byExecution.get(executionId)?.get(path)
      if (running && !settleQueued(executionId, path, reason)) running.handle?.abort(reason)
    },
    forget(executionId) {
      const paths = byExecution.get(executionId)
      byExecution.delete(executionId)
      for (const [path, running] of paths ?? []) {
        size--
        const queued = dequeue(executionId, path)
        if (!queued) running.handle?.abort('This worker does not hold the execution any more.')
        else if (queued.launch.entry.alone) {
          laneBusy = false
          void nextSuspect()
        }
      }
    },
    running: (executionId) => new Set(byExecution.get(executionId)?.keys()),
    get size() {
      return size
    },
  }

  function run(executionId: string, launch: Launch, running: Running): void {
    const { entry, step, input } = launch
    if (step.spec.type !== 'handler') return
    const isolated = entry.alone === true || (entry.crashes ?? 0) > 0
    running.handle = host.run({
      ...{ handler: step.spec.handler, input, isolated, executionId: encodeId('execution', executionId), path: entry.path },
      ...{ attempt: entry.attempt, deadlineMs: step.timeoutMs! },
    })
    void running.handle.outcome.then((outcome) => settle(executionId, entry.path, running, outcome, entry.alone === true))
  }

  function settle(executionId: string, path: string, running: Running, outcome: HandlerOutcome, alone: boolean): void {
    const paths = byExecution.get(executionId)
    // forgotten, or replaced by a later attempt: what it did after that still counts as late, unless it just stopped as told
    const current = paths?.get(path) === running
    if (current) {
      paths.delete(path)
      size--
      if (paths.size === 0) byExecution.delete(executionId)
    }
    if (current || outcome.ok || outcome.code !== 'CANCELED') {
      ended(executionId, { kind: 'outcome', path, attempt: running.attempt, epoch: running.epoch, outcome: asOutcome(outcome) })
    }
    if (alone) {
      laneBusy = false
      void nextSuspect()
    }
    while (queue.length > 0 && host.free > 0) {
      const next = queue.shift()!
      run(next.executionId, next.launch, next.running)
    }
  }

  /** One that was still waiting for a process ends without having run. */
  function settleQueued(executionId: string, path: string, reason: string): boolean {
    const queued = dequeue(executionId, path)
    if (!queued) return false
    settle(
      executionId,
      path,
      queued.running,
      { ok: false, code: 'CANCELED', message: reason },
      queued.launch.entry.alone === true,
    )
    return true
  }

  function dequeue(executionId: string, path: string): (typeof queue)[number] | undefined {
    const at = queue.findIndex((item) => item.executionId === executionId && item.launch.entry.path === path)
    return at < 0 ? undefined : queue.splice(at, 1)[0]
  }

  async function nextSuspect(): Promise<void> {
    if (laneBusy) return
    const next = lane.shift()
    if (!next) return
    laneBusy = true
    const { path, attempt } = next.launch.entry
    const launched = await isolate(next.executionId, path, attempt).catch(() => false)
    if (launched) return // its end frees the lane
    laneBusy = false
    void nextSuspect()
  }
}

function asOutcome(outcome: HandlerOutcome): Outcome {
  return outcome.ok ? { ok: true, output: JSON.parse(outcome.text) as Json, bytes: outcome.bytes } : outcome
}
