import fc from 'fast-check'
import { expect, test } from 'vitest'
import { planRetry } from '../../../src/engine/decide/plan-retry.ts'
import type { EndedBefore, PlannedStep, RetryWish } from '../../../src/engine/decide/plan-retry.ts'
import { compensationPath } from '../../../src/engine/decide/run.ts'
import type { StepRecord } from '../../../src/engine/decide/snapshot.ts'
import { predecessors } from '../../../src/language/graph.ts'
import type { Program, ProgramStep } from '../../../src/language/program.ts'
import { Model } from './model.ts'
import { agent, handler, NO_RETRY, onRoute, program, route, step, transform, START } from './programs.ts'
import { bringToEnd, commands, graphs, play, sagas } from './scripts.ts'

/** How the steps of an execution that has ended ended, as they are read back for a retry. */
function endedBefore(model: Model): Map<string, EndedBefore> {
  const { program: flow } = model.stored
  const runs = new Map(model.stepRuns.map((run) => [run.path, run]))
  return new Map(
    flow.steps.flatMap((each): [string, EndedBefore][] => {
      const run = runs.get(each.name)
      const undoing = runs.get(compensationPath(each))
      const undone = undoing !== undefined && undoing.status !== 'SKIPPED'
      return run ? [[each.name, { status: run.status, undone, ...(run.route !== undefined && { route: run.route }) }]] : []
    }),
  )
}

/** A new execution that uses again what the plan says. */
function retryOf(first: Model, plan: readonly PlannedStep[]): Model {
  const model = new Model(first.stored.program, 2)
  model.now = first.now + 1000
  const reused = plan.flatMap(({ name, action }): [string, StepRecord][] => {
    const record = first.stored.steps.get(name)
    const copied = action === 'REUSE' || (action === 'SKIP' && record?.status === 'SKIPPED')
    return copied ? [[name, { ...record!, reusedFrom: '01900000-0000-7000-8000-00000000000e' }]] : []
  })
  model.stored = {
    ...model.stored,
    ...{ id: 'r', lastEventAt: model.now, createdAt: model.now, deadlineAt: model.now + first.stored.program.timeoutMs },
    ...{ steps: new Map(reused), origin: { retryOf: 'exec_e', initiators: ['i'] } },
  }
  return model
}

/** What the plan said against what happened. */
function checkPlan(plan: readonly PlannedStep[], model: Model, flow: Program): void {
  const began = new Set(model.events.flatMap(({ type, path }) => (type === 'step.started' ? [path] : [])))
  const told = model.events.flatMap(({ type, path }) => (type === 'step.reused' ? [path] : []))
  for (const { name, action } of plan) {
    const recorded = model.stored.steps.get(name)
    if (action === 'REUSE') {
      expect(recorded?.reusedFrom, name).toBeDefined()
      expect(told.filter((path) => path === name)).toHaveLength(1)
    } else if (action !== 'SKIP') expect(told).not.toContain(name)
    if (action === 'REUSE' || action === 'SKIP') expect(began).not.toContain(name)
    // it ends only when every step has: then none was left where the plan did not say so
    if (model.stored.status !== 'SUCCEEDED') continue
    if (action === 'SKIP') expect(recorded?.status).toBe('SKIPPED')
    if (action === 'RUN') expect(began).toContain(name)
    if (action === 'MAY_RUN') expect(began.has(name) || recorded?.status === 'SKIPPED').toBe(true)
  }
  // they are told of right after the start
  const start = model.events.findIndex(({ type }) => type === 'execution.started')
  expect(model.events.slice(start + 1, start + 1 + told.length).every(({ type }) => type === 'step.reused')).toBe(true)
  for (const { name, action } of plan) if (action === 'REUSE') checkGround(plan, flow.step(name)!, model.stored.steps)
}

/** What is used again stands on what is used again, or on nothing that counts. */
function checkGround(plan: readonly PlannedStep[], { name, needs }: ProgramStep, steps: ReadonlyMap<string, StepRecord>): void {
  const reused = needs.of.filter((before) => plan.find((one) => one.name === before)?.action === 'REUSE')
  expect(reused.length, name).toBeGreaterThanOrEqual(needs.count)
  for (const { router, route: taken } of needs.routes)
    expect(steps.get(router)).toMatchObject({ route: taken, reusedFrom: expect.any(String) })
}

test('a retry does exactly what its plan says, whatever happened before it and meanwhile (E6)', () => {
  const seen = { REUSE: 0, RUN: 0, MAY_RUN: 0, SKIP: 0 }
  const wishes = fc.record({ at: fc.option(fc.nat(7), { freq: 2 }), fromStart: fc.constantFrom(false, false, false, true) })
  fc.assert(
    fc.property(fc.oneof(graphs, sagas), commands, wishes, commands, (flow, script, { at, fromStart }, more) => {
      const first = new Model(flow, 2)
      play(first, script)
      bringToEnd(first)
      const from = at === null ? undefined : flow.steps[at % flow.steps.length]!.name
      const wish: RetryWish = { from, fromStart }
      const plan = planRetry(flow, endedBefore(first), wish)
      expect(plan.map(({ name }) => name)).toEqual(flow.steps.map(({ name }) => name))
      if (fromStart) expect(plan.map(({ action }) => action)).not.toContain('REUSE')
      expect(plan.find(({ name }) => name === from)?.action).not.toBe('REUSE')
      const second = retryOf(first, plan)
      play(second, more)
      bringToEnd(second)
      if (second.stored.startedAt !== null) checkPlan(plan, second, flow)
      for (const { action } of plan) seen[action]++
    }),
    { numRuns: 600 },
  )
  for (const count of Object.values(seen)) expect(count).toBeGreaterThan(30)
}, 60_000)

/** Every attempt of these fails; the others succeed. */
function run(model: Model, failing: ReadonlySet<string>): Model {
  const [worker] = model.workers
  worker!.claim()
  for (let round = 0; round < 500 && model.stored.endedAt === null; round++) {
    const fails = worker!.running.findIndex(({ path }) => failing.has(path))
    const input = worker!.finish(
      Math.max(fails, 0),
      fails >= 0 ? { ok: false, code: 'STEP_FAILED', message: 'no' } : { ok: true, output: {}, bytes: 2 },
    )
    worker!.turn([input ?? { kind: 'tick' }])
    model.now += 10
  }
  return model
}

const plainSteps = fc
  .array(
    fc.tuple(fc.constantFrom('handler', 'handler', 'transform', 'route'), fc.array(fc.nat(7), { maxLength: 3 }), fc.nat(2)),
    {
      minLength: 2,
      maxLength: 8,
    },
  )
  .map((rows) => {
    const steps: ProgramStep[] = []
    for (const [type, picks, mode] of rows) {
      const of = [...new Set(picks.filter((pick) => pick < steps.length).map((pick) => steps[pick]!.name))]
      const spec = type === 'handler' ? handler : type === 'transform' ? transform : route('left')
      const router = steps.find(({ name, spec: before }) => name === of[0] && before.type === 'route')
      const needs =
        router && mode === 0
          ? onRoute(router.name, 'left')
          : router && mode === 1
            ? onRoute(router.name, 'right')
            : { ...START, count: of.length, of }
      steps.push(step(`s${steps.length}`, spec, { needs, retry: NO_RETRY }))
    }
    return program(steps)
  })

test('a flow that fails and is tried again ends as one that never failed, and runs nothing twice that succeeded', () => {
  let reused = 0
  fc.assert(
    fc.property(plainSteps, fc.array(fc.nat(7), { minLength: 1, maxLength: 3 }), (flow, picks) => {
      const handlers = flow.steps.filter(({ spec }) => spec.type === 'handler').map(({ name }) => name)
      const failing = new Set(picks.flatMap((pick) => handlers[pick % Math.max(handlers.length, 1)] ?? []))
      const first = run(new Model(flow, 1), failing)
      const clean = run(new Model(flow, 1), new Set())
      const plan = planRetry(flow, endedBefore(first))
      const again = run(retryOf(first, plan), new Set())
      const statuses = (model: Model) => Object.fromEntries([...model.stored.steps].map(([name, { status }]) => [name, status]))
      expect(again.stored.status).toBe('SUCCEEDED')
      expect(statuses(again)).toEqual(statuses(clean))
      const succeeded = first.stepRuns.filter(({ status }) => status === 'SUCCEEDED').map(({ name }) => name)
      expect(
        plan
          .filter(({ action }) => action === 'REUSE')
          .map(({ name }) => name)
          .toSorted(),
      ).toEqual(succeeded.toSorted())
      reused += succeeded.length
    }),
    { numRuns: 300 },
  )
  expect(reused).toBeGreaterThan(100)
})

const failed: EndedBefore = { status: 'FAILED' }
const succeeded: EndedBefore = { status: 'SUCCEEDED' }
const after = (...of: string[]) => ({ ...START, count: of.length, of })
const any = (...of: string[]) => ({ ...START, mode: 'any' as const, count: 1, of })
const actions = (plan: readonly PlannedStep[]) => Object.fromEntries(plan.map(({ name, action }) => [name, action]))

test('what was undone, changed or asked for runs again, and so does what follows it; what is on another route stays out', () => {
  const flow = program([
    step('router', route('left')),
    step('left', handler, { needs: onRoute('router', 'left') }),
    step('right', handler, { needs: onRoute('router', 'right') }),
    step('side', handler),
    step('last', agent, { needs: after('left', 'side') }),
  ])
  const before = new Map<string, EndedBefore>([
    ['router', { ...succeeded, route: 'left' }],
    ['left', succeeded],
    ['right', { status: 'SKIPPED' }],
    ['side', succeeded],
    ['last', failed],
  ])
  const planned = (change: Record<string, Partial<EndedBefore>>, wish: RetryWish = {}) =>
    actions(planRetry(flow, new Map([...before].map(([name, ended]) => [name, { ...ended, ...change[name] }])), wish))
  expect(planned({})).toEqual({ router: 'REUSE', left: 'REUSE', right: 'SKIP', side: 'REUSE', last: 'RUN' })
  for (const again of [planned({ left: { undone: true } }), planned({ left: { changed: true } }), planned({}, { from: 'left' })])
    expect(again).toEqual({ router: 'REUSE', left: 'RUN', right: 'SKIP', side: 'REUSE', last: 'MAY_RUN' })
  expect(planned({}, { from: 'router' })).toMatchObject({ router: 'RUN', left: 'MAY_RUN', right: 'MAY_RUN', side: 'REUSE' })
})

test('what went on from the first of several is not run again because another of them failed', () => {
  const flow = program([step('slow', handler), step('fast', handler), step('use', handler, { needs: any('slow', 'fast') })])
  const ended = (slow: EndedBefore) =>
    new Map([
      ['slow', slow],
      ['fast', succeeded],
      ['use', succeeded],
    ])
  expect(actions(planRetry(flow, ended(failed)))).toEqual({ slow: 'RUN', fast: 'REUSE', use: 'REUSE' })
  // it may have looked at what came of both
  expect(actions(planRetry(flow, ended(succeeded), { from: 'slow' }))).toEqual({ slow: 'RUN', fast: 'REUSE', use: 'RUN' })
  expect(predecessors(flow.step('use')!.needs).size).toBe(2)
})
