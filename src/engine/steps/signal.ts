/** `signal`: waits for named signals; those that came before the step began count too, and each is taken once. */
import { workSpent } from '../../language/budget.ts'
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { Condition } from '../../language/values.ts'
import type { Draft } from '../decide/draft.ts'
import { emit, emitOf, removeInFlight, replaceInFlight } from '../decide/draft.ts'
import { scopeOf } from '../decide/scope.ts'
import type { BufferedSignal } from '../decide/snapshot.ts'
import { fail, succeed } from '../decide/end-step.ts'
import type { Input, InputResult } from '../decide/input.ts'
import { runAt } from '../decide/run.ts'
import type { Run } from '../decide/run.ts'
import type { SignalEntry } from '../in-flight.ts'
import { hasEnded } from '../states.ts'

type SignalSpec = StepSpec & { type: 'signal' }

/** What may wait to be taken in one execution. */
export const MAX_SIGNALS = 100
export const MAX_SIGNAL_BYTES = 1_000_000
/** Larger data stands in the signal's own row, not in its event. */
const MAX_EVENT_BYTES = 1_500
/** Signals of the past that are known by their ids: another call with the same idempotency key is on its way for milliseconds. */
export const MAX_KNOWN = 200

/** Without a timeout of its own the flow's deadline ends it. What has come already is taken when everything has begun that can. */
export function beginSignal(draft: Draft, run: Run, { signals, need }: SignalSpec, attempt: number): void {
  const { now } = draft.world
  const dueAt = run.step.timeoutMs === undefined ? (draft.deadlineAt ?? now) : now + run.step.timeoutMs
  const { path } = run
  draft.inFlight.push({ kind: 'signal', path, attempt, startedAt: draft.lastEventAt, dueAt, signals: [...signals], need })
}

export function receiveSignal(draft: Draft, input: Input & { kind: 'signaled' }): InputResult {
  const { id, name, data, bytes, sentBy } = input
  if (draft.cancelReason !== null || draft.ending !== null) return 'illegal'
  if (draft.knownSignals.includes(id)) return 'duplicate'
  const waiting = draft.signals.reduce((sum, signal) => sum + signal.bytes, 0)
  if (draft.signals.length >= MAX_SIGNALS || waiting + bytes > MAX_SIGNAL_BYTES) return 'full'
  emit(draft, 'signal.received', { data: { name, sentBy, bytes, ...(bytes <= MAX_EVENT_BYTES && { data }) } })
  const signal: BufferedSignal = { seq: draft.seq, name, data, bytes, sentBy, at: draft.lastEventAt }
  draft.signals = [...draft.signals, signal]
  draft.knownSignals = [...draft.knownSignals, id].slice(-MAX_KNOWN)
  draft.waits.push({ kind: 'signal', id, takenBy: null, ...signal })
  return 'applied'
}

/**
 * The first step that has all it needs takes it, and true: there may be another. What conditions cost is bounded: beyond `mostWork`
 * units another transition goes on (`draft.more`), each signal is judged once for each step.
 */
export function takeSignals(draft: Draft, mostWork: number): boolean {
  if (draft.signals.length === 0 || draft.ending !== null || hasEnded(draft.status)) return false
  const until = workSpent() + mostWork
  for (const entry of draft.inFlight) {
    if (entry.kind !== 'signal' || entry.dueAt <= draft.world.now) continue
    const run = runAt(draft.from.program, entry.path)
    if (run?.step.spec.type !== 'signal') continue
    const { where } = run.step.spec
    const judged = where ? judge(draft, run, where, entry, until) : entry
    if (judged !== entry) replaceInFlight(draft, judged)
    if (takeAll(draft, run, judged, where !== undefined)) return true
    if (draft.more) return false
  }
  return false
}

/** Whoever sends decides what is in it: a condition that cannot be judged is not fulfilled, it ends nothing. */
function judge(draft: Draft, run: Run, where: Condition, entry: SignalEntry, until: number): SignalEntry {
  let { judged = 0, fitting = [] } = entry
  const others = draft.signals.filter(({ seq, name }) => seq > judged && entry.signals.includes(name))
  if (others.length === 0) return entry
  const scope = scopeOf(draft, run)
  for (const { seq, name, data, sentBy } of others) {
    if (workSpent() > until) {
      draft.more = true
      break
    }
    const verdict = where.evaluate({ ...scope, signal: { name, data, sentBy } })
    if (verdict.ok && verdict.value) fitting = [...fitting, seq]
    judged = seq
  }
  return judged === (entry.judged ?? 0) ? entry : { ...entry, judged, fitting }
}

/** All that the step needs, the first of each name, or nothing: what it does not take is there for others. */
function takeAll(draft: Draft, run: Run, entry: SignalEntry, isPicky: boolean): boolean {
  const found = new Map<string, BufferedSignal>()
  for (const signal of draft.signals) {
    if (found.size === entry.need) break
    if (!entry.signals.includes(signal.name) || found.has(signal.name)) continue
    if (!isPicky || entry.fitting?.includes(signal.seq)) found.set(signal.name, signal)
  }
  if (found.size < entry.need) return false
  const taken = [...found.values()]
  draft.signals = draft.signals.filter((signal) => !taken.includes(signal))
  for (const { seq } of taken) draft.waits.push({ kind: 'taken', seq, path: entry.path })
  removeInFlight(draft, entry.path)
  const signals = Object.fromEntries(
    taken.map(({ name, data, sentBy, at }) => [name, { data, sentBy, at: new Date(at).toISOString() }]),
  )
  succeed(draft, run, entry, { received: taken.map(({ name }) => name), signals })
  return true
}

export function expireSignal(draft: Draft, run: Run, entry: SignalEntry): void {
  emitOf(draft, run, 'signal.expired', { attempt: entry.attempt })
  fail(draft, run, entry, 'SIGNAL_TIMEOUT', `Too few of ${entry.signals.join(', ')} came in time.`)
}
