/** The attempts that run in this process: launched after the commit that wrote them down, each ends as an outcome in its mailbox. */
import { encodeId } from '../ids.ts'
import type { Json } from '../language/program.ts'
import type { Launch } from './decide/draft.ts'
import type { Input, Outcome } from './decide/input.ts'
import type { Snapshot } from './decide/snapshot.ts'
import { maskOf } from './execution-mask.ts'
import type { ExecutionMask } from './execution-mask.ts'
import type { ActEntry } from './in-flight.ts'
import type { HandlerHost } from './handlers/handler-host.ts'
import type { HandlerOutcome } from './handlers/handler-outcome.ts'
import type { RunningHandler } from './handlers/attempt.ts'
import type { HandlerRegistry } from './handlers/load-handlers.ts'
import { runWithSecrets } from './handlers/run-with-secrets.ts'
import type { OpenSecrets } from './handlers/run-with-secrets.ts'
import type { SecretValues } from './handlers/attempt-mask.ts'

export interface AttemptsOptions {
  host: HandlerHost
  registry: HandlerRegistry
  openSecrets: OpenSecrets
  ended(executionId: string, outcome: Input & { kind: 'outcome' }): void
  /** asks for leave to run a suspect alone; true: its launch follows */
  isolate(executionId: string, path: string, attempt: number): Promise<boolean>
}

export interface Attempts {
  /** `of`: the execution as it is now */
  launch(executionId: string, launch: Launch, of: Pick<Snapshot, 'program' | 'input'>): void
  abort(executionId: string, path: string, reason: string): void
  /** Aborts all of an execution's attempts; their outcomes are not told any more. */
  forget(executionId: string): void
  running(executionId: string): ReadonlySet<string>
}

interface Running {
  /** undefined while it waits for a process */
  handle: RunningHandler | undefined
  /** takes what is sensitive out of a line for the log; undefined: nothing is */
  hide: ((text: string) => string) | undefined
}

export function createAttempts({ host, registry, openSecrets, ended, isolate }: AttemptsOptions): Attempts {
  const byExecution = new Map<string, Map<string, Running>>()
  /** waiting for a free process: their time has not begun */
  const queue: { executionId: string; launch: Launch; running: Running }[] = []
  /**
   * Suspects, one at a time, by how often they were alone at a crash before: those hit by chance end before the guilty one's next
   * turn, and none is in front at every crash.
   */
  const lanes: { executionId: string; launch: Launch }[][] = [[], [], []]
  let onLane: ActEntry | undefined
  host.onFree = runQueued

  return {
    launch(executionId, launch, of) {
      if (launch.suspect) {
        lanes[Math.min(launch.entry.aloneCrashes ?? 0, lanes.length - 1)]!.push({ executionId, launch })
        // later in this turn: the rest of a takeover's batch belongs in the lanes before one is chosen
        setImmediate(() => void nextSuspect())
        return
      }
      const { entry } = launch
      const { step } = launch.run
      const running: Running = { handle: undefined, hide: hider(of) }
      let paths = byExecution.get(executionId)
      if (!paths) byExecution.set(executionId, (paths = new Map<string, Running>()))
      paths.set(entry.path, running)
      const inline = step.spec.type === 'handler' && registry.get(step.spec.handler)?.inline && !mustIsolate(entry)
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
        const queued = dequeue(executionId, path)
        if (!queued) running.handle?.abort('This worker does not hold the execution any more.')
        else if (queued.launch.entry.alone) {
          onLane = undefined
          void nextSuspect()
        }
      }
    },
    running: (executionId) => new Set(byExecution.get(executionId)?.keys()),
  }

  /** Suspects; and beside one that was alone at a crash before everybody, so that it is not blamed for another's first crash. */
  function mustIsolate(entry: ActEntry): boolean {
    return entry.alone === true || (entry.crashes ?? 0) > 0 || (onLane?.aloneCrashes ?? 0) > 0
  }

  function run(executionId: string, launch: Launch, running: Running): void {
    const { entry, input } = launch
    const { step } = launch.run
    if (step.spec.type !== 'handler') return
    const { handler, secrets: names } = step.spec
    const { path, attempt } = entry
    const isolated = mustIsolate(entry)
    const begin = (secrets?: SecretValues): RunningHandler =>
      host.run({
        ...{
          handler,
          input,
          isolated,
          executionId: encodeId('execution', executionId),
          path,
          attempt,
          deadlineMs: step.timeoutMs!,
        },
        ...(secrets && { secrets }),
        ...(running.hide && { hide: running.hide }),
      })
    running.handle = names.length > 0 ? runWithSecrets(openSecrets({ executionId, path, attempt, names }), begin) : begin()
    void running.handle.outcome.then((outcome) => settle(executionId, launch, running, outcome))
  }

  function settle(executionId: string, { entry, input }: Launch, running: Running, outcome: HandlerOutcome): void {
    const { path, attempt, epoch } = entry
    const paths = byExecution.get(executionId)
    // forgotten, or replaced by a later attempt: what it did after that still counts as late, unless it just stopped as told
    const current = paths?.get(path) === running
    if (current) {
      paths.delete(path)
      if (paths.size === 0) byExecution.delete(executionId)
    }
    if (current || outcome.ok || outcome.code !== 'CANCELED') {
      ended(executionId, { kind: 'outcome', path, attempt, epoch, outcome: asOutcome(outcome), input })
    }
    if (entry.alone) {
      onLane = undefined
      void nextSuspect()
    }
    runQueued()
  }

  function runQueued(): void {
    while (queue.length > 0 && host.free > 0) {
      const next = queue.shift()!
      run(next.executionId, next.launch, next.running)
    }
  }

  /** One that was still waiting for a process ends without having run. */
  function settleQueued(executionId: string, path: string, reason: string): boolean {
    const queued = dequeue(executionId, path)
    if (!queued) return false
    settle(executionId, queued.launch, queued.running, { ok: false, code: 'CANCELED', message: reason })
    return true
  }

  function dequeue(executionId: string, path: string): (typeof queue)[number] | undefined {
    const at = queue.findIndex((item) => item.executionId === executionId && item.launch.entry.path === path)
    return at < 0 ? undefined : queue.splice(at, 1)[0]
  }

  async function nextSuspect(): Promise<void> {
    if (onLane) return
    const next = lanes.find((lane) => lane.length > 0)?.shift()
    if (!next) return
    onLane = next.launch.entry
    const { path, attempt } = next.launch.entry
    const launched = await isolate(next.executionId, path, attempt).catch(() => false)
    if (launched) return // its end frees the lane
    onLane = undefined
    void nextSuspect()
  }
}

/** The mask is made when the first line comes: most handlers write none. */
function hider(of: Pick<Snapshot, 'program' | 'input'>): Running['hide'] {
  if (!of.program.sensitive) return undefined
  let mask: ExecutionMask | undefined
  return (text) => (mask ??= maskOf(of.program, of.input)).text(text)
}

function asOutcome(outcome: HandlerOutcome): Outcome {
  return outcome.ok ? { ok: true, output: JSON.parse(outcome.text) as Json, bytes: outcome.bytes } : outcome
}
