/** The simulated world: answers what a transition asks of it with what the case gives, at the time that the case says. Pure. */
import type { AskRow, Launch, Transition } from '../engine/decide/draft.ts'
import { derivedUuid } from '../engine/decide/derive.ts'
import { runAt } from '../engine/decide/run.ts'
import type { ChildEnd, Input, Outcome } from '../engine/decide/input.ts'
import type { ActEntry, AttemptEntry, ItemCounts } from '../engine/in-flight.ts'
import type { EndedStatus } from '../engine/states.ts'
import { encodeId } from '../ids.ts'
import { checkPayload, MAX_STATE_BYTES } from '../language/payload.ts'
import type { Program } from '../language/program.ts'
import type { Json, JsonObject } from '../language/values.ts'
import { Agenda } from './agenda.ts'
import type { Case, Happening, Result } from './case.ts'
import { EndedItems } from './ended-items.ts'
import { keysOf } from './result-keys.ts'
import type { Simulation, SimulationProblem } from './simulation.ts'

type CalledFlow = NonNullable<ReturnType<NonNullable<Case['flows']>['get']>>
/** Simulates what a step calls; undefined: it lies too deep. */
export type SimulateCall = (program: Program, given: Case) => Generator<void, Simulation> | undefined

/** Somebody whom a case names: the same id wherever the name is used. */
const personOf = (name: string): string => derivedUuid(0, `person/${name}`)
export const INITIATOR = 'initiator'
export const initiatorId = personOf(INITIATOR)

export class SimulatedWorld {
  readonly agenda = new Agenda()
  readonly #given: Case
  readonly #program: Program
  readonly #used = new Set<string>()
  readonly #items = new EndedItems()
  readonly #call: SimulateCall
  /** tokens that the flows took which it called */
  calledCost = 0

  constructor(program: Program, given: Case, startsAt: number, call: SimulateCall) {
    this.#call = call
    this.#given = given
    this.#program = program
    given.timeline?.forEach((happening, place) => this.#plan(happening, startsAt, place))
  }

  /** Keys of results that nothing asked for. */
  get unused(): string[] {
    return Object.keys(this.#given.results ?? {}).filter((key) => !this.#used.has(key))
  }

  /** Puts on the agenda what comes of it; a problem: the case does not say. */
  *hear(transition: Transition, now: number): Generator<void, SimulationProblem | undefined> {
    this.#items.hear(transition)
    for (const { path, attempt } of transition.aborts) this.#stop(transition, path, attempt, now)
    for (const { kind, executionId } of transition.words) if (kind === 'cancel') this.#cancelChild(executionId, now)
    for (const launch of transition.launches) {
      const problem = launch.spec.type === 'map' ? this.#join(launch, now) : yield* this.#run(launch, now)
      if (problem) return problem
    }
    for (const ask of transition.asks) {
      const problem = ask.kind === 'NOTICE' ? undefined : this.#answer(transition, ask, now)
      if (problem) return problem
    }
    return undefined
  }

  #plan({ at, signal, pause, resume, cancel }: Happening, startsAt: number, place: number): void {
    const when = startsAt + at
    if (signal) {
      const data = signal.data ?? null
      const { bytes = 0 } = checkPayload(data, MAX_STATE_BYTES)
      const sentBy = encodeId('user', personOf(signal.from ?? INITIATOR))
      this.agenda.add(when, {
        kind: 'signaled',
        id: derivedUuid(when, `signal/${place}`),
        name: signal.name,
        data,
        bytes,
        sentBy,
      })
    } else if (pause !== undefined) this.agenda.add(when, { kind: 'pause', reason: pause })
    else if (resume !== undefined) this.agenda.add(when, { kind: 'resume', reason: resume })
    else this.agenda.add(when, { kind: 'cancel', reason: cancel! })
  }

  *#run({ run, entry, spec, input }: Launch, now: number): Generator<void, SimulationProblem | undefined> {
    const { path, attempt, epoch } = entry
    const result = this.#resultOf(path, run.step.name, attempt)
    const called = spec.type === 'flow' && !result ? this.#given.flows?.get(spec.flow) : undefined
    if (called) return yield* this.#simulateChild(entry, called, input, now)
    const wanted = `a step of type ${spec.type} takes { "output": ... }, { "error": { "code": ... } } or { "never": true }`
    if (!result) return missing(path, attempt, wanted, input)
    if (result.answer || result.votes) return wrong(path, wanted)
    if (spec.type === 'flow') return this.#child(entry, result, now)
    const timeoutMs = run.step.timeoutMs ?? Number.POSITIVE_INFINITY
    const after = result.never ? Number.POSITIVE_INFINITY : (result.after ?? 0)
    if (after === Number.POSITIVE_INFINITY && after === timeoutMs)
      return wrong(path, 'it has no timeout, so it cannot take for ever')
    const late: Outcome = { ok: false, code: 'TIMEOUT', message: `It did not end within ${timeoutMs} ms.` }
    const outcome = after > timeoutMs ? late : outcomeOf(result)
    this.agenda.add(now + Math.min(after, timeoutMs), { kind: 'outcome', path, attempt, epoch, outcome, input })
    return undefined
  }

  /** The end of a map is the simulation's own: what became of the items. */
  #join({ entry: { path, attempt, epoch }, input }: Launch, now: number): undefined {
    const output = this.#items.join(path, input as unknown as ItemCounts)
    const outcome: Outcome = { ok: true, output, bytes: Buffer.byteLength(JSON.stringify(output)) }
    this.agenda.add(now, { kind: 'outcome', path, attempt, epoch, outcome, input })
  }

  /** It begins at once, and ends as the case says; what is due before ends the step by itself. */
  #child(entry: AttemptEntry, { output, error, never, after = 0 }: Result, now: number): undefined {
    const { path, attempt, epoch, childId = '' } = entry as ActEntry
    this.agenda.add(now, { kind: 'outcome', path, attempt, epoch, outcome: { ok: true, output: null, bytes: 4 } })
    if (never) return
    const end: Pick<ChildEnd, 'status' | 'error'> = error
      ? { status: 'FAILED', error: { code: error.code, message: error.message ?? AS_GIVEN } }
      : { status: 'SUCCEEDED', error: null }
    this.agenda.add(now + after, childEnded(childId, { ...end, ...(output !== undefined && { output }) }))
  }

  /** Nothing of what happens here happens to it: it is simulated to its end, and may be canceled before. */
  *#simulateChild(
    entry: AttemptEntry,
    called: CalledFlow,
    input: Json,
    now: number,
  ): Generator<void, SimulationProblem | undefined> {
    const { path, attempt, epoch, childId = '' } = entry as ActEntry
    const given = { ...called.given, input: input as JsonObject, seed: path, startAt: new Date(now).toISOString() }
    const [unfit] = called.program.checkInput(given.input)
    if (unfit) {
      const message = `${unfit.path.join('.')}: ${unfit.message}`
      const outcome: Outcome = { ok: false, code: 'INVALID_INPUT', message, retryable: false }
      this.agenda.add(now, { kind: 'outcome', path, attempt, epoch, outcome, input })
      return undefined
    }
    const child = this.#call(called.program, given)
    if (!child) return { code: 'LIMIT', message: 'Flows call each other too deep.', path }
    const found = yield* child
    this.calledCost += found.cost
    if (found.problem) return { ...found.problem, path: [path, found.problem.path].join(' > ') }
    this.agenda.add(now, { kind: 'outcome', path, attempt, epoch, outcome: { ok: true, output: null, bytes: 4 } })
    const { status, error, output } = found
    this.agenda.add(
      found.endedAt,
      childEnded(childId, { status: status as EndedStatus, error, ...(output !== null && { output }) }),
    )
    return undefined
  }

  #cancelChild(childId: string, now: number): void {
    this.agenda.drop((input) => input.kind === 'childEnded' && input.childId === childId)
    this.agenda.add(now, childEnded(childId, { status: 'CANCELED', error: null }))
  }

  /** Who is asked may be silent; what is expected of them must be said. */
  #answer(transition: Transition, ask: AskRow, now: number): SimulationProblem | undefined {
    const { path, attempt, id: requestId } = ask
    const result = this.#resultOf(path, this.#nameAt(path), attempt)
    const isApproval = ask.kind === 'APPROVAL'
    const wanted = isApproval
      ? 'an approval takes { "votes": [{ "by": ..., "decision": ... }] } or { "never": true }'
      : 'who is asked answers with { "answer": { "decision": ... } } or { "never": true }'
    if (!result) return missing(path, attempt, wanted, ask.body)
    if (result.never) return undefined
    if (isApproval ? !result.votes : !result.answer) return wrong(path, wanted)
    const from = now + (result.after ?? 0)
    if (result.answer) {
      const { decision, data = null, by = INITIATOR } = result.answer
      this.agenda.add(from, { kind: 'answered', requestId, decision, data, answeredBy: personOf(by) })
    }
    const row = transition.waits.find((wait) => wait.kind === 'approval' && wait.requestId === requestId)
    for (const { by, decision, data = null, after = 0 } of result.votes ?? []) {
      const dataHash = row?.kind === 'approval' ? row.dataHash : ''
      this.agenda.add(from + after, { kind: 'voted', requestId, dataHash, decision, data, by: personOf(by) })
    }
    return undefined
  }

  #stop({ from, next }: Transition, path: string, attempt: number, now: number): void {
    const entry = from.inFlight.find((one) => one.path === path)
    this.agenda.drop((input) => input.kind === 'outcome' && input.path === path && input.attempt === attempt)
    if (entry?.kind !== 'act') return
    const message = next.cancelReason ?? 'The execution has ended.'
    const outcome: Outcome = { ok: false, code: 'CANCELED', message }
    this.agenda.add(now, { kind: 'outcome', path, attempt, epoch: entry.epoch, outcome })
  }

  #resultOf(path: string, stepName: string, attempt: number): Result | undefined {
    const { results = {} } = this.#given
    const key = keysOf(path, stepName).find((one) => Object.hasOwn(results, one))
    if (key === undefined) return undefined
    this.#used.add(key)
    const given = results[key]!
    return Array.isArray(given) ? given[Math.min(attempt, given.length) - 1] : given
  }

  #nameAt(path: string): string {
    return runAt(this.#program, path)?.step.name ?? path
  }
}

const AS_GIVEN = 'as the case says'

const childEnded = (childId: string, end: Pick<ChildEnd, 'status' | 'error' | 'output'>): Input => ({
  ...{ kind: 'childEnded', key: `child/${childId}`, childId, reason: null },
  ...end,
})

function outcomeOf({ output, error }: Result): Outcome {
  if (error) {
    const { code, message = AS_GIVEN, retryAfter, kind, retryable } = error
    return {
      ...{ ok: false, code, message },
      ...(retryable !== undefined && { retryable }),
      ...(kind !== undefined && { kind }),
      ...(retryAfter !== undefined && { retryAfterMs: retryAfter }),
    }
  }
  const payload = checkPayload(output, MAX_STATE_BYTES)
  if (payload.ok) return { ok: true, output: output!, bytes: payload.bytes }
  return { ok: false, code: payload.code === 'TOO_LARGE' ? 'STATE_TOO_LARGE' : 'UNSTORABLE_OUTPUT', message: payload.message }
}

const MAX_SHOWN = 500

function missing(path: string, attempt: number, wanted: string, input: Json): SimulationProblem {
  const given = JSON.stringify(input).slice(0, MAX_SHOWN).toWellFormed()
  const message = `The case gives no result for "${path}" (attempt ${attempt}), which was given ${given}: ${wanted}.`
  return { code: 'MISSING_RESULT', message, path }
}

const wrong = (path: string, wanted: string): SimulationProblem => ({
  ...{ code: 'WRONG_RESULT', path, message: `What the case gives for "${path}" does not fit: ${wanted}.` },
})
