/**
 * Runs a definition on a virtual clock: the engine's own `decide`, with a world that a case describes. Nothing is written, nothing is
 * called, and no time passes: thirty days of waiting are a few steps of this loop. Pure; the same case always gives the same history.
 */
import { decide } from '../engine/decide/decide.ts'
import { derivedUuid } from '../engine/decide/derive.ts'
import type { AskRow, EventRow, StepRunRow, World } from '../engine/decide/draft.ts'
import type { Input } from '../engine/decide/input.ts'
import type { Snapshot } from '../engine/decide/snapshot.ts'
import { dueAtOf } from '../engine/in-flight.ts'
import { newSnapshot } from '../engine/new-snapshot.ts'
import { hasEnded } from '../engine/states.ts'
import { workSpent } from '../language/budget.ts'
import { formatDuration } from '../language/duration.ts'
import type { Program } from '../language/program.ts'
import type { Json } from '../language/values.ts'
import type { Case } from './case.ts'
import type { Simulation, SimulationProblem } from './simulation.ts'
import { initiatorId, SimulatedWorld } from './world.ts'
import type { SimulateCall } from './world.ts'

/** Where a simulation ends that would not end by itself. */
export interface SimulationLimits {
  transitions: number
  events: number
  /** units of the work of expressions, about 0.1 microseconds each */
  work: number
}

/** Flows that call each other, one inside of the other. */
const MOST_DEPTH = 10
const START = Date.UTC(2026, 0, 1)
const WORKER = 'simulation'
/** As workers have them. */
const [KEEP_MS, FENCE_MS] = [1_000, 10_000]

/** Yields between transitions, so that whoever runs it may do something else meanwhile. `spent`, `depth`: of what calls it, its own with it. */
export function* simulation(
  program: Program,
  given: Case,
  limits: SimulationLimits,
  spent: SimulationLimits = { transitions: 0, events: 0, work: 0 },
  depth = 0,
): Generator<void, Simulation> {
  let now = given.startAt === undefined ? START : Date.parse(given.startAt)
  let snapshot = firstSnapshot(program, given, now)
  const call: SimulateCall = (called, more) =>
    depth < MOST_DEPTH ? simulation(called, { ...more, flows: given.flows }, limits, spent, depth + 1) : undefined
  const world = new SimulatedWorld(program, given, now, call)
  const history = { events: [] as EventRow[], steps: [] as StepRunRow[], asked: [] as AskRow[] }
  let output: Json = null
  let problem: SimulationProblem | undefined
  let inputs: Input[] = [{ kind: 'started' }]
  for (;;) {
    const before = workSpent()
    const transition = decide(snapshot, inputs, worldAt(now))
    spent.work += workSpent() - before
    spent.transitions++
    spent.events += transition.events.length
    snapshot = transition.next
    history.events.push(...transition.events)
    history.steps.push(...transition.stepRuns)
    history.asked.push(...transition.asks)
    output = transition.output ?? output
    if (hasEnded(snapshot.status)) break
    problem = (yield* world.hear(transition, now)) ?? beyond(limits, spent)
    if (problem) break
    yield
    if (transition.more) inputs = [{ kind: 'tick' }]
    else {
      now = Math.max(now, Math.min(world.agenda.next, dueOf(snapshot)))
      inputs = world.agenda.takeUntil(now)
      if (inputs.length === 0) inputs = [{ kind: 'tick' }]
    }
  }
  const { status, error, reason } = snapshot
  return {
    ...{ status, output, error, reason, startedAt: snapshot.createdAt, endedAt: snapshot.lastEventAt, ...history },
    ...(problem && { problem }),
    cost: (snapshot.tokens ?? 0) + world.calledCost,
    unused: world.unused,
  }
}

/** All of it at once. */
export function simulate(program: Program, given: Case, limits: SimulationLimits): Simulation {
  const steps = simulation(program, given, limits)
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

const worldAt = (now: number): World => ({ now, worker: WORKER, adopt: true, keepMs: KEEP_MS, fenceMs: FENCE_MS })

/** When something is due by itself. Who is paused only has a deadline. */
function dueOf({ inFlight, deadlineAt, pauseReason }: Snapshot): number {
  const waits = pauseReason === null ? inFlight.map(dueAtOf) : []
  return Math.min(deadlineAt ?? Number.POSITIVE_INFINITY, ...waits)
}

function beyond(limits: SimulationLimits, spent: SimulationLimits): SimulationProblem | undefined {
  const over = (Object.keys(limits) as (keyof SimulationLimits)[]).find((name) => spent[name] > limits[name])
  if (over === undefined) return undefined
  const what = { transitions: 'transitions', events: 'events', work: 'units of work in expressions' }[over]
  return { code: 'LIMIT', message: `A simulation has at most ${limits[over]} ${what}.` }
}

function firstSnapshot(program: Program, given: Case, now: number): Snapshot {
  const input = given.input ?? {}
  const ids = { id: derivedUuid(now, `simulation/${given.seed ?? ''}`), flowId: derivedUuid(now, 'flow'), initiatorId }
  const order = { ...ids, flowVersionId: derivedUuid(now, 'flow version'), program, input }
  return newSnapshot(order, Buffer.byteLength(JSON.stringify(input)), now)
}

/** `P1DT2H`: how long after the start. */
export const sinceStart = ({ startedAt }: Simulation, at: number): string => formatDuration(at - startedAt)
