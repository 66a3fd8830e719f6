/** `signal`: waits for named signals; those that came before the step began count too, and each is taken once. */
import { shareWork } from '../../language/budget.ts'
import type { Json, StepSpec } from '../../language/program.ts'
import type { Draft } from '../decide/draft.ts'
import { emit, emitOf, removeInFlight, scopeOf } from '../decide/draft.ts'
import { fail, succeed } from '../decide/end-step.ts'
import type { Input, InputResult } from '../decide/input.ts'
import { runAt } from '../decide/run.ts'
import type { Run } from '../decide/run.ts'
import type { SignalEntry } from '../in-flight.ts'
import { hasEnded } from '../states.ts'

type SignalSpec = StepSpec & { type: 'signal' }

/** A signal that came and that no step has taken yet. */
export interface BufferedSignal {
  /** of its event: the order in which they came */
  readonly seq: number
  readonly name: string
  readonly data: Json
  readonly bytes: number
  /** a readable id */
  readonly sentBy: string
  readonly at: number
}

/** What may wait to be taken in one execution. */
export const MAX_SIGNALS = 100
export const MAX_SIGNAL_BYTES = 1_000_000
/** Larger data stands in the signal's own row, not in its event. */
const MAX_EVENT_BYTES = 1_500
/** Signals of the past that are known by their ids: another call with the same idempotency key is on its way for milliseconds. */
export const MAX_KNOWN = 200

/** Without a timeout of its own the flow's deadline ends it. */
export function beginSignal(draft: Draft, run: Run, spec: SignalSpec, attempt: number): void {
  const { now } = draft.world
  const dueAt = run.step.timeoutMs === undefined ? (draft.deadlineAt ?? now) : now + run.step.timeoutMs
  const { signals, need } = spec
  const entry: SignalEntry = {
    ...{ kind: 'signal', path: run.path, attempt, startedAt: draft.lastEventAt, dueAt },
    ...{ signals: [...signals], need },
  }
  draft.inFlight.push(entry)
  takeSignals(draft, run, spec, entry)
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
  for (const entry of [...draft.inFlight]) {
    if (hasEnded(draft.status)) break
    if (entry.kind !== 'signal' || entry.dueAt <= draft.world.now || !entry.signals.includes(name)) continue
    const run = runAt(draft.from.program, entry.path)
    if (run?.step.spec.type === 'signal') takeSignals(draft, run, run.step.spec, entry)
  }
  return 'applied'
}

/** All that the step needs, at once, or nothing: what it does not take is there for others. */
function takeSignals(draft: Draft, run: Run, spec: SignalSpec, entry: SignalEntry): void {
  const found = new Map<string, BufferedSignal>()
  for (const signal of draft.signals) {
    if (found.size === spec.need) break
    if (spec.signals.includes(signal.name) && !found.has(signal.name) && fits(draft, run, spec, signal))
      found.set(signal.name, signal)
  }
  if (found.size < spec.need) return
  const taken = [...found.values()]
  draft.signals = draft.signals.filter((signal) => !taken.includes(signal))
  for (const { seq } of taken) draft.waits.push({ kind: 'taken', seq, path: entry.path })
  removeInFlight(draft, entry.path)
  const signals = Object.fromEntries(
    taken.map(({ name, data, sentBy, at }) => [name, { data, sentBy, at: new Date(at).toISOString() }]),
  )
  succeed(draft, run, entry, { received: taken.map(({ name }) => name), signals })
}

/** Whoever sends decides what is in it: a condition that cannot be judged is not fulfilled, it ends nothing. */
function fits(draft: Draft, run: Run, { where }: SignalSpec, { name, data, sentBy }: BufferedSignal): boolean {
  if (!where) return true
  const judged = shareWork(() => where.evaluate({ ...scopeOf(draft, run), signal: { name, data, sentBy } }))
  return judged.ok && judged.value
}

export function expireSignal(draft: Draft, run: Run, entry: SignalEntry): void {
  emitOf(draft, run, 'signal.expired', { attempt: entry.attempt })
  fail(draft, run, entry, 'SIGNAL_TIMEOUT', `Too few of ${entry.signals.join(', ')} came in time.`)
}
