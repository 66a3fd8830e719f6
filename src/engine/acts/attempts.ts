/** The attempts that run in this process: launched after the commit that wrote them down, each ends as an outcome in its mailbox. */
import { encodeId } from '../../ids.ts'
import type { ActSpec } from '../../language/steps/step-types.ts'
import type { Json } from '../../language/values.ts'
import type { Launch } from '../decide/draft.ts'
import type { Input, Outcome } from '../decide/input.ts'
import type { Snapshot } from '../decide/snapshot.ts'
import { maskOf } from '../execution-mask.ts'
import type { ExecutionMask } from '../execution-mask.ts'
import type { ResourceUse } from '../handlers/resource-limits.ts'
import type { AttemptEntry } from '../in-flight.ts'
import type { ActOutcome, ActRunner, ActRunners, RunningAct } from './act-runner.ts'
import type { Report } from './reports.ts'
import type { SecretValues } from './attempt-mask.ts'
import { runWithSecrets } from './run-with-secrets.ts'
import type { OpenSecrets } from './run-with-secrets.ts'
import { executionContext, openSpan } from '../../tracing.ts'

export interface AttemptsOptions {
  runners: ActRunners
  openSecrets: OpenSecrets
  /** the last of these is its outcome */
  ended(executionId: string, inputs: readonly Input[], entry: AttemptEntry): void
  /** it says something while it runs */
  reported(executionId: string, report: Input): void
  /** asks for leave to run a suspect alone; true: its launch follows */
  isolate(executionId: string, entry: AttemptEntry): Promise<boolean>
  /** told what an attempt took of the machine, where that is measured */
  used?: NoteUse
}

export type NoteUse = (of: Pick<Snapshot, 'initiatorId' | 'flowId'>, spec: ActSpec, use: ResourceUse) => void

export interface Attempts {
  /** `of`: the execution as it is now */
  launch(executionId: string, launch: Launch, of: Launched): void
  abort(executionId: string, path: string, reason: string): void
  /** Aborts all of an execution's attempts of this kind; their outcomes are not told any more. */
  forget(executionId: string, kind: Kind): void
  /** Their paths. Those of pools run here whoever holds the execution, and do not end with that. */
  running(executionId: string, kind: Kind): ReadonlySet<string>
  /** those of pools that have not begun, because there is no room for them */
  readonly pooledWaiting: number
}

type Kind = AttemptEntry['kind']
type Launched = Pick<Snapshot, 'program' | 'input' | 'initiatorId' | 'flowId'>

interface Running {
  /** undefined while it waits for room */
  handle: RunningAct | undefined
  /** takes what is sensitive out of a line for the log; undefined: nothing is */
  hide: ((text: string) => string) | undefined
  used: (use: ResourceUse) => void
  /** what it said last, to be told with its outcome */
  last: Report | undefined
}

export function createAttempts({ runners, openSecrets, ended, reported, isolate, used }: AttemptsOptions): Attempts {
  const byKind: Record<Kind, Map<string, Map<string, Running>>> = { act: new Map(), pooled: new Map() }
  /** waiting for room, by type: their time has not begun */
  const queues = new Map<ActSpec['type'], { executionId: string; launch: Launch; running: Running }[]>()
  /**
   * Suspects, one at a time, by how often they were alone at a crash before: those hit by chance end before the guilty one's next
   * turn, and none is in front at every crash.
   */
  const lanes: { executionId: string; launch: Launch }[][] = [[], [], []]
  let onLane: AttemptEntry | undefined
  for (const type of Object.keys(runners) as ActSpec['type'][]) {
    queues.set(type, [])
    runnerOf(type)!.onRoom = () => runQueued(type)
  }

  return {
    launch(executionId, launch, of) {
      if (launch.suspect) {
        lanes[Math.min(launch.entry.aloneCrashes ?? 0, lanes.length - 1)]!.push({ executionId, launch })
        // later in this turn: the rest of a takeover's batch belongs in the lanes before one is chosen
        setImmediate(() => void nextSuspect())
        return
      }
      const { entry, spec } = launch
      const running: Running = { handle: undefined, hide: hider(of), used: (use) => used?.(of, spec, use), last: undefined }
      const byExecution = byKind[entry.kind]
      let paths = byExecution.get(executionId)
      if (!paths) byExecution.set(executionId, (paths = new Map<string, Running>()))
      paths.set(entry.path, running)
      if (runnerOf(spec.type)?.hasRoom(spec, mustIsolate(entry)) === false)
        queues.get(spec.type)!.push({ executionId, launch, running })
      else run(executionId, launch, running)
    },
    abort(executionId, path, reason) {
      const running = byKind.act.get(executionId)?.get(path) ?? byKind.pooled.get(executionId)?.get(path)
      if (running && !settleQueued(executionId, path, reason)) running.handle?.abort(reason)
    },
    forget(executionId, kind) {
      const paths = byKind[kind].get(executionId)
      byKind[kind].delete(executionId)
      for (const [path, running] of paths ?? []) {
        const queued = dequeue(executionId, path)
        if (!queued) running.handle?.abort('This worker does not hold the execution any more.')
        else if (queued.launch.entry.alone) {
          onLane = undefined
          void nextSuspect()
        }
      }
    },
    running: (executionId, kind) => new Set(byKind[kind].get(executionId)?.keys()),
    get pooledWaiting() {
      const waiting = [...queues.values()].flat()
      return waiting.filter(({ launch }) => launch.entry.kind === 'pooled').length
    },
  }

  /** A runner gets no other specs than those of its type. */
  function runnerOf(type: ActSpec['type']): ActRunner | undefined {
    return runners[type]
  }

  /** What was in flight at a crash; and beside one that was alone at a crash before everybody, so that it is not blamed for another's first crash. */
  function mustIsolate(entry: AttemptEntry): boolean {
    return entry.alone === true || (entry.crashes ?? 0) > 0 || (onLane?.aloneCrashes ?? 0) > 0
  }

  function run(executionId: string, launch: Launch, running: Running): void {
    const { entry, spec, input } = launch
    const { path, attempt, epoch } = entry
    const isolated = mustIsolate(entry)
    const report = (said: Report, last: boolean): void => {
      if (last) running.last = said
      else if (byKind[entry.kind].get(executionId)?.get(path) === running)
        reported(executionId, { kind: 'reported', path, attempt, epoch, report: said })
    }
    const begin = (secrets?: SecretValues): RunningAct =>
      runnerOf(spec.type)?.run({
        spec,
        input,
        isolated,
        executionId: encodeId('execution', executionId),
        path,
        attempt,
        deadlineMs: launch.run.step.timeoutMs!,
        report,
        childId: entry.kind === 'act' ? entry.childId : undefined,
        secrets,
        hide: running.hide,
        used: running.used,
      }) ?? NOT_HERE
    const names = 'secrets' in spec ? spec.secrets : []
    const handle = (): RunningAct =>
      names.length > 0 ? runWithSecrets(openSecrets({ executionId, path, attempt, names }), begin) : begin()
    const parent = executionContext(executionId)
    const span = parent && openSpan(`step ${spec.type}`, { parent, attributes: spanOf(executionId, path, attempt) })
    running.handle = span ? span.run(handle) : handle()
    void running.handle.outcome.then((outcome) => {
      span?.end(outcome.ok ? undefined : outcome.code)
      settle(executionId, launch, running, outcome)
    })
  }

  function settle(executionId: string, { spec, entry, input }: Launch, running: Running, outcome: ActOutcome): void {
    const { path, attempt, epoch } = entry
    const byExecution = byKind[entry.kind]
    const paths = byExecution.get(executionId)
    // forgotten, or replaced by a later attempt: what it did after that still counts as late, unless it just stopped as told
    const current = paths?.get(path) === running
    if (current) {
      paths.delete(path)
      if (paths.size === 0) byExecution.delete(executionId)
    }
    if (current || outcome.ok || outcome.code !== 'CANCELED') {
      const { last } = running
      const said: Input[] = last && current ? [{ kind: 'reported', path, attempt, epoch, report: last }] : []
      ended(executionId, [...said, { kind: 'outcome', path, attempt, epoch, outcome: asOutcome(outcome), input }], entry)
    }
    if (entry.alone) {
      onLane = undefined
      void nextSuspect()
    }
    runQueued(spec.type)
  }

  function runQueued(type: ActSpec['type']): void {
    const queue = queues.get(type)
    for (let next = queue?.[0]; next && hasRoom(next.launch); next = queue![0]) {
      queue!.shift()
      run(next.executionId, next.launch, next.running)
    }
  }

  function hasRoom({ spec, entry }: Launch): boolean {
    return runnerOf(spec.type)!.hasRoom(spec, mustIsolate(entry))
  }

  /** One that was still waiting for room ends without having run. */
  function settleQueued(executionId: string, path: string, reason: string): boolean {
    const queued = dequeue(executionId, path)
    if (!queued) return false
    settle(executionId, queued.launch, queued.running, { ok: false, code: 'CANCELED', message: reason })
    return true
  }

  function dequeue(executionId: string, path: string): { launch: Launch; running: Running } | undefined {
    for (const queue of queues.values()) {
      const at = queue.findIndex((item) => item.executionId === executionId && item.launch.entry.path === path)
      if (at >= 0) return queue.splice(at, 1)[0]
    }
    return undefined
  }

  async function nextSuspect(): Promise<void> {
    if (onLane) return
    const next = lanes.find((lane) => lane.length > 0)?.shift()
    if (!next) return
    onLane = next.launch.entry
    const launched = await isolate(next.executionId, next.launch.entry).catch(() => false)
    if (launched) return // its end frees the lane
    onLane = undefined
    void nextSuspect()
  }
}

const spanOf = (executionId: string, path: string, attempt: number) => ({
  ...{ 'sluice.execution': executionId, 'sluice.step': path, 'sluice.attempt': attempt },
})

const NOT_HERE: RunningAct = {
  outcome: Promise.resolve({ ok: false, code: 'NOT_ALLOWED', message: 'No step of this type runs on this worker.' }),
  abort: () => undefined,
}

/** The mask is made when the first line comes: most handlers write none. */
function hider(of: Pick<Snapshot, 'program' | 'input'>): Running['hide'] {
  if (!of.program.sensitive) return undefined
  let mask: ExecutionMask | undefined
  return (text) => (mask ??= maskOf(of.program, of.input)).text(text)
}

function asOutcome(outcome: ActOutcome): Outcome {
  return outcome.ok ? { ok: true, output: JSON.parse(outcome.text) as Json, bytes: outcome.bytes } : outcome
}
