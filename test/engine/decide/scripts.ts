/** Random flows, and what may happen to an execution of one: scripts that `Model` plays. */
import fc from 'fast-check'
import type { Input, Outcome } from '../../../src/engine/decide/input.ts'
import type { Snapshot } from '../../../src/engine/decide/snapshot.ts'
import type { InFlight } from '../../../src/engine/in-flight.ts'
import { hasEnded } from '../../../src/engine/states.ts'
import type { Needs, ProgramStep } from '../../../src/language/program.ts'
import type { StepSpec } from '../../../src/language/steps/step-types.ts'
import { visit } from './model.ts'
import type { Model, ModelWorker } from './model.ts'
import {
  agent,
  flow,
  handler,
  loop,
  map,
  NO_RETRY,
  onRoute,
  program,
  route,
  START,
  step,
  transform,
  waiting,
} from './programs.ts'

const simple: fc.Arbitrary<StepSpec> = fc.oneof(
  { weight: 5, arbitrary: fc.constant(handler) },
  { weight: 1, arbitrary: fc.constant({ ...handler, atMostOnce: true } as StepSpec) },
  { weight: 2, arbitrary: fc.constant(transform) },
  { weight: 2, arbitrary: fc.constant(agent) },
  { weight: 2, arbitrary: fc.integer({ min: 0, max: 5000 }).map(waiting) },
  { weight: 1, arbitrary: fc.constantFrom('left', 'right').map(route) },
)

/** Of maps and loops it is the step inside that is tried again. */
const isComposed = ({ type }: StepSpec): boolean => type === 'map' || type === 'loop'

const withInside = (inner: fc.Arbitrary<StepSpec>) => {
  const body = fc
    .tuple(inner, fc.integer({ min: 1, max: 2 }))
    .map(([spec, attempts]) => step('inside', spec, { retry: { ...NO_RETRY, attempts: isComposed(spec) ? 1 : attempts } }))
  return fc.oneof(
    fc.tuple(fc.nat(6), body, fc.integer({ min: 1, max: 3 }), fc.nat(3)).map((args) => map(...args)),
    fc.tuple(fc.integer({ min: 1, max: 4 }), body, fc.constantFrom(0, 700)).map((args) => loop(...args)),
  )
}

const inside = fc.oneof(
  { weight: 6, arbitrary: simple },
  { weight: 2, arbitrary: fc.constant(flow) },
  { weight: 1, arbitrary: withInside(simple) },
)

const specs: fc.Arbitrary<StepSpec> = fc.oneof(
  { weight: 8, arbitrary: simple },
  { weight: 2, arbitrary: fc.constant(flow) },
  { weight: 3, arbitrary: withInside(inside) },
)

/** Random graphs: each step may need any of the steps before it, all, any or some of them, or a route of a router before it. */
export const graphs = fc
  .array(fc.tuple(specs, fc.array(fc.nat(9), { maxLength: 3 }), fc.nat(3), fc.integer({ min: 1, max: 3 })), {
    minLength: 1,
    maxLength: 8,
  })
  .map((rows) => {
    const steps: ProgramStep[] = []
    for (const [spec, picks, mode, attempts] of rows) {
      const of = [...new Set(picks.filter((p) => p < steps.length).map((p) => steps[p]!.name))]
      const retry = { ...NO_RETRY, attempts: isComposed(spec) ? 1 : attempts }
      steps.push(step(`s${steps.length}`, spec, { needs: needsOf(of, mode, steps), retry }))
    }
    return program(steps)
  })

function needsOf(of: string[], mode: number, steps: ProgramStep[]): Needs {
  if (of.length === 0) return START
  const router = steps.find((s) => s.name === of[0] && s.spec.type === 'route')
  if (router && mode === 0) return onRoute(router.name, 'left')
  if (mode === 1) return { mode: 'any', count: 1, of, routes: [] }
  if (mode === 2) return { mode: 'atLeast', count: Math.ceil(of.length / 2), of, routes: [] }
  return { mode: 'all', count: of.length, of, routes: [] }
}

/** Of undoing: one that may be over before all is undone, and one that is not. */
export const SHORT_MS = 2000
const LONG_MS = 36_000_000

/** Each step may say how to undo it, and what becomes of its failure: nothing, the execution goes on, or another step answers for it. */
export const sagas = fc
  .tuple(
    graphs,
    fc.array(fc.tuple(fc.boolean(), fc.nat(3), fc.integer({ min: 1, max: 3 })), { minLength: 8, maxLength: 8 }),
    fc.constantFrom(10_000, 3_600_000, 3_600_000),
    fc.constantFrom(SHORT_MS, LONG_MS, LONG_MS),
  )
  .map(([flow, choices, timeoutMs, compensationMs]) => {
    const failures = new Map<string, string[]>()
    const steps = flow.steps.map((each, index): ProgramStep => {
      const [undone, onFailure, attempts] = choices[index]!
      const target = flow.steps[index + 1]
      const onError = onFailure === 1 ? 'continue' : onFailure === 2 && target ? { goto: target.name } : undefined
      if (typeof onError === 'object') failures.set(onError.goto, [each.name])
      const compensate = step(each.name, undone && index % 3 === 2 ? agent : handler, { retry: { ...NO_RETRY, attempts } })
      return { ...each, ...(onError && { onError }), ...(undone && { compensate }) }
    })
    const made = program(
      steps.map((each) =>
        failures.has(each.name) ? { ...each, needs: { ...each.needs, failures: failures.get(each.name)! } } : each,
      ),
      { timeoutMs },
    )
    return made.compensation ? { ...made, compensation: { ...made.compensation, timeoutMs: compensationMs } } : made
  })

const outcomes: fc.Arbitrary<Outcome> = fc.oneof(
  { weight: 4, arbitrary: fc.constant<Outcome>({ ok: true, output: { n: 1 }, bytes: 7 }) },
  { weight: 1, arbitrary: fc.constant<Outcome>({ ok: false, code: 'STEP_FAILED', message: 'no' }) },
)

type Command =
  | { do: 'claim' | 'crash' | 'restart' | 'suspect' | 'tick' | 'handBack' | 'drain'; worker: number; lose: boolean }
  | { do: 'finish'; worker: number; index: number; outcome: Outcome; keep: boolean; lose: boolean }
  | { do: 'replay'; worker: number; index: number }
  | { do: 'time'; ms: number }
  | { do: 'answer' | 'cancel' | 'pause' | 'resume'; stale: boolean }
  | { do: 'childEnds'; index: number; status: 'SUCCEEDED' | 'FAILED' }
  | { do: 'hear'; index: number; worker: number }
  | { do: 'remember' }

const worker = fc.nat(1)
const lose = fc.boolean()
export const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('claim' as const), worker, lose }) },
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('finish' as const),
        worker,
        index: fc.nat(5),
        outcome: outcomes,
        keep: fc.boolean(),
        lose,
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'restart' as const), worker, lose }) },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constantFrom('suspect' as const, 'tick' as const, 'handBack' as const), worker, lose }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('drain' as const), worker, lose }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('replay' as const), worker, index: fc.nat(3) }) },
    {
      weight: 3,
      arbitrary: fc.record({
        do: fc.constant('time' as const),
        ms: fc.oneof({ weight: 9, arbitrary: fc.integer({ min: 1, max: 3000 }) }, { weight: 1, arbitrary: fc.constant(61_000) }),
      }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('answer' as const), stale: fc.boolean() }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('cancel' as const, 'pause' as const, 'resume' as const), stale: fc.boolean() }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        ...{ do: fc.constant('childEnds' as const), index: fc.nat(5) },
        status: fc.constantFrom('SUCCEEDED' as const, 'SUCCEEDED' as const, 'FAILED' as const),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('hear' as const), index: fc.nat(3), worker }) },
    { weight: 1, arbitrary: fc.constant<Command>({ do: 'remember' }) },
  ),
  { minLength: 10, maxLength: 60, size: 'max' },
)

export function play(model: Model, script: Command[]): void {
  let remembered = model.stored
  const kept: Input[] = []
  for (const command of script) {
    if (command.do === 'time') model.now += command.ms
    else if (command.do === 'remember') remembered = model.stored
    else if (command.do === 'childEnds') model.endChild(command.index, command.status)
    else if (command.do === 'hear') hear(model, model.workers[command.worker]!, command.index)
    else if ('worker' in command) {
      const w = model.workers[command.worker]!
      if (command.do === 'claim') w.claim()
      else if (command.do === 'crash') w.crash()
      else if (command.do === 'restart' && !w.alive) w.restart()
      else if (command.do === 'suspect') w.suspect()
      else if (command.do === 'drain' && w.alive) w.drain(command.lose)
      else if (command.do === 'tick' && w.snapshot) w.turn([{ kind: 'tick' }], command.lose)
      else if (command.do === 'handBack' && w.snapshot) w.turn([{ kind: 'handBack' }], command.lose)
      else if (command.do === 'replay' && kept[command.index]) visit(model, kept[command.index]!)
      else if (command.do === 'finish') {
        const input = w.finish(command.index, command.outcome)
        if (!input) continue
        kept.push(input)
        // kept back: it comes when its worker is long gone, or never
        if (!command.keep) w.turn([input], command.lose)
      }
    } else {
      const snapshot = command.stale ? remembered : undefined
      if (command.do === 'answer') {
        const entry = model.stored.inFlight.find((e) => e.kind === 'agent')
        if (entry) answerIt(model, entry, snapshot)
      } else visit(model, { kind: command.do, reason: 'because' }, snapshot)
    }
  }
}

/** A word is read by whoever holds the execution, or by whoever claims it because of it. */
function hear(model: Model, worker: ModelWorker, index: number): void {
  const word = model.inbox[index % Math.max(model.inbox.length, 1)]
  if (!word) return
  if (worker.snapshot) worker.turn([word])
  else if (model.stored.owner === null) visit(model, word)
}

function answerIt(model: Model, entry: InFlight, snapshot?: Snapshot): void {
  if (entry.kind !== 'agent') return
  const answeredBy = '01900000-0000-7000-8000-000000000000'
  visit(model, { kind: 'answered', requestId: entry.requestId, decision: 'APPROVE', data: null, answeredBy }, snapshot)
}

/** From wherever chance has left it, an honest worker brings it to its end. */
export function bringToEnd(model: Model): void {
  for (const w of model.workers) w.crash()
  const last = model.workers[0]!
  last.restart()
  if (model.stored.pauseReason !== null) visit(model, { kind: 'resume' })
  for (let round = 0; round < 2500 && !hasEnded(model.stored.status); round++) {
    last.claim()
    // whoever comes by fires a stored deadline
    if ((model.stored.deadlineAt ?? Infinity) <= model.now) visit(model, { kind: 'tick' })
    if (last.lane.length > 0 && last.running.length === 0) last.suspect()
    const input = last.finish(0, { ok: true, output: {}, bytes: 2 })
    const asked = model.stored.ending === null ? undefined : model.stored.inFlight.find((e) => e.kind === 'agent')
    // children do as they are told, or come to their end by themselves
    if (model.children.size > 0)
      model.endChild(0, [...model.children.values()].some((c) => c.canceled && !c.ended) ? 'CANCELED' : 'SUCCEEDED')
    hear(model, last, 0)
    if (input) last.turn([input])
    else if (asked) answerIt(model, asked)
    else if (last.snapshot) last.turn([{ kind: 'tick' }])
    model.now += 500
  }
}
