import fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide } from '../../../src/engine/decide/decide.ts'
import type { Transition, World } from '../../../src/engine/decide/draft.ts'
import type { Input, Migration } from '../../../src/engine/decide/input.ts'
import type { WaitRow } from '../../../src/engine/decide/wait-rows.ts'
import { isAttempt } from '../../../src/engine/in-flight.ts'
import { hasEnded } from '../../../src/engine/states.ts'
import type { Program } from '../../../src/language/program.ts'
import type { StepSpec } from '../../../src/language/steps/step-types.ts'
import { Model, visit } from './model.ts'
import { handler, loop, NO_RETRY, program, step } from './programs.ts'

interface Row {
  path: string
  attempt: number
  epoch: number
  owner: string | null
  pool: string
}

/** Nobody is to claim it. */
const ASIDE = 'aside'

/** The queue of a pool, as the database keeps it, and the workers who claim from it; they hold nothing. */
class PooledModel extends Model {
  readonly queue = new Map<string, Row>()
  readonly running: (Row & { owner: string })[] = []
  readonly untold: (Row & { owner: string })[] = []

  override world(worker: string | null): World {
    return { ...super.world(worker), adopt: false, pools: new Set(['default']) }
  }

  override commit(transition: Transition): 'committed' | 'stale' {
    const verdict = super.commit(transition)
    if (verdict === 'stale' || !transition.changed) return verdict
    for (const wait of transition.waits)
      if (wait.kind === 'unpooled' && !this.queue.delete(wait.path)) throw new Error('no such row')
    for (const wait of transition.waits) {
      if (wait.kind === 'pooled') this.insert(wait)
      const row = 'path' in wait ? this.queue.get(wait.path) : undefined
      if (wait.kind === 'requeued' && row?.epoch === wait.epoch) row.owner = null
      if (wait.kind === 'setAside' && (row!.owner === null || row!.epoch === wait.epoch)) row!.owner = ASIDE
    }
    this.checkQueue()
    return verdict
  }

  private insert({ path, attempt, epoch, pool }: WaitRow & { kind: 'pooled' }): void {
    const there = this.queue.get(path)
    if (there && there.attempt !== attempt) throw new Error(`${path} was in the queue already`)
    if (!there) this.queue.set(path, { path, attempt, epoch, owner: null, pool })
    else if (there.pool !== pool) Object.assign(there, { owner: null, pool, epoch: there.epoch + 1 })
    // whoever has claimed it, and has not told it yet, keeps it
    else there.owner = there.owner === ASIDE ? null : there.owner
  }

  /** A row for each step of a pool that is in flight, and it agrees with what the execution knows of it. */
  private checkQueue(): void {
    const { inFlight, pauseReason } = this.stored
    const wanted = inFlight.filter((entry) => entry.kind === 'pooled')
    expect([...this.queue.keys()].toSorted()).toEqual(wanted.map(({ path }) => path).toSorted())
    for (const { path, attempt, epoch, worker, pool, claims = 0 } of wanted) {
      const row = this.queue.get(path)!
      expect(row.pool).toBe(pool)
      expect(row.attempt).toBe(attempt)
      expect(row.epoch).toBeGreaterThanOrEqual(claims)
      if (row.owner === ASIDE || row.owner === null) expect(row.owner === ASIDE).toBe(pauseReason !== null && epoch === 0)
      if (worker !== undefined && row.epoch === claims && row.owner !== ASIDE) expect(row.owner).toBe(worker)
    }
  }

  /** Whoever is `alive` keeps its rows. */
  claimStep(worker: string, index: number, alive: ReadonlySet<string>): void {
    const free = [...this.queue.values()].filter(({ owner }) => owner !== ASIDE && (owner === null || !alive.has(owner)))
    const row = free[index % Math.max(free.length, 1)]
    if (!row) return
    row.owner = worker
    row.epoch += 1
    this.untold.push({ ...row, owner: worker })
  }

  /** What was claimed is told, or given up. */
  tell(index: number): void {
    const [row] = this.untold.splice(index % Math.max(this.untold.length, 1), 1)
    if (row) this.begin(row.owner, row)
  }

  private begin(worker: string, { path, attempt, epoch, pool }: Row, alone = false): void {
    const input: Input = { kind: 'stepClaimed', path, attempt, epoch, worker, pool, ...(alone && { alone }) }
    const { launches, results, next } = this.visitAs(worker, input)
    const row = this.queue.get(path)
    if (results[0] !== 'applied' && row?.owner === worker && row.epoch === epoch) {
      const isAside =
        next.pauseReason !== null && next.inFlight.some((entry) => entry.path === path && isAttempt(entry) && entry.epoch === 0)
      row.owner = isAside ? ASIDE : null
    }
    for (const { suspect } of launches) {
      if (suspect) this.begin(worker, { path, attempt, epoch, pool, owner: worker }, true)
      else this.running.push({ path, attempt, epoch, pool, owner: worker })
    }
  }

  visitAs(worker: string, input: Input): Transition {
    const transition = decide(this.stored, [input], this.world(worker))
    this.commit(transition)
    return transition
  }
}

const pooled = { pool: 'gpu', timeoutMs: 60_000 } as const
const retried = { ...pooled, retry: { ...NO_RETRY, attempts: 3 } }
/** By its number: from version to version steps change their pool, and one comes and goes. */
const flow = (number = 1): Program => ({
  ...program([
    step('a', handler, { ...retried, pool: number % 2 === 1 ? 'gpu' : 'tpu' }),
    ...(number % 3 === 0 ? [] : [step('once', { ...handler, atMostOnce: true } as StepSpec, pooled)]),
    step('items', loop(3, step('inside', handler, retried), 0)),
    step('b', handler, { ...retried, needs: { mode: 'all', count: 1, of: ['a'], routes: [] } }),
  ]),
  usesPools: true,
})
const CHANGED: ReadonlySet<string> = new Set(['a', 'once'])
const migration = (number: number): Migration => ({
  from: { id: number === 1 ? 'v' : `v${number}`, number },
  to: { id: `v${number + 1}`, number: number + 1, program: flow(number + 1) },
  changed: CHANGED,
})

const WORKERS = ['w1', 'w2', 'w3']
const act = fc.record({
  do: fc.constantFrom(
    'claim',
    'claim',
    'claim',
    'tell',
    'tell',
    'tell',
    'finish',
    'finish',
    'fail',
    'crash',
    'giveBack',
    'again',
    'move',
    'pause',
    'resume',
    'time',
  ),
  worker: fc.nat(2),
  index: fc.nat(9),
})

test('whoever claims steps of a pool, crashes, gives back and answers late, while versions change their pools: each is recorded once, and the queue is what is in flight', () => {
  let [finished, late, moved] = [0, 0, 0]
  fc.assert(
    fc.property(fc.array(act, { minLength: 20, maxLength: 60 }), fc.boolean(), (script, canceled) => {
      const model = new PooledModel(flow(), 1)
      const incarnations = new Map(WORKERS.map((name) => [name, 0]))
      const idOf = (name: string): string =>
        `01900000-0000-7000-8000-${name.slice(1).padStart(4, '0')}${String(incarnations.get(name)).padStart(8, '0')}`
      const alive = (): Set<string> => new Set(WORKERS.map(idOf))
      const told: Input[] = []
      let number = 1
      // one that was lost does not know it, and goes on
      const finish = (index: number, ok: boolean, lostToo = false): void => {
        const living = model.running.filter(({ owner }) => lostToo || alive().has(owner))
        const run = living[index % Math.max(living.length, 1)]
        if (!run) return
        model.running.splice(model.running.indexOf(run), 1)
        const { path, attempt, epoch } = run
        const outcome = ok
          ? ({ ok: true, output: { n: 1 }, bytes: 7 } as const)
          : ({ ok: false, code: 'STEP_FAILED', message: 'no' } as const)
        const input: Input = { kind: 'outcome', path, attempt, epoch, outcome }
        told.push(input)
        const [result] = model.visitAs(run.owner, input).results
        if (result === 'applied') finished++
        else late++
      }
      // as whoever claims it leaves it
      model.stored = { ...model.stored, status: 'RUNNING' }
      visit(model, { kind: 'started' })
      for (const { do: what, worker, index } of script) {
        if (hasEnded(model.stored.status)) break
        const name = WORKERS[worker]!
        if (what === 'claim') model.claimStep(idOf(name), index, alive())
        else if (what === 'tell') model.tell(index)
        else if (what === 'finish' || what === 'fail') finish(index, what === 'finish', true)
        else if (what === 'crash') incarnations.set(name, incarnations.get(name)! + 1)
        else if (what === 'again' && told.length > 0) expect(visit(model, told[index % told.length]!)).not.toBe('applied')
        else if (what === 'move') {
          const { inFlight } = model.stored
          const result = visit(model, { kind: 'migrate', migration: migration(number), by: 'user_x' })
          if (inFlight.some((entry) => entry.kind === 'pooled' && (entry.epoch !== 0 || entry.worker !== undefined)))
            expect(result).toBe('illegal')
          if (result === 'applied') [number, moved] = [number + 1, moved + 1]
        } else if (what === 'time') model.now += 2_000
        else if (what === 'pause') visit(model, { kind: 'pause', reason: 'x' })
        else if (what === 'resume') visit(model, { kind: 'resume' })
        else if (what === 'giveBack') {
          const run = model.running.find(({ owner }) => owner === idOf(name))
          if (run) model.running.splice(model.running.indexOf(run), 1)
          if (run) model.visitAs(run.owner, { kind: 'stepGivenBack', path: run.path, attempt: run.attempt, epoch: run.epoch })
        }
        visit(model, { kind: 'tick' })
      }
      if (canceled) visit(model, { kind: 'cancel', reason: 'enough' })
      for (let round = 0; round < 100 && !hasEnded(model.stored.status); round++) {
        visit(model, { kind: 'resume' })
        while (model.untold.length > 0) model.tell(0)
        for (let n = 0; n < 4; n++) model.claimStep(idOf('w1'), 0, alive())
        while (model.untold.length > 0) model.tell(0)
        for (let n = 0; n < 8; n++) finish(0, true)
        model.now += 2_000
        visit(model, { kind: 'tick' })
      }
      expect(hasEnded(model.stored.status)).toBe(true)
      expect([...model.queue]).toEqual([])
    }),
    { numRuns: 300 },
  )
  expect(finished).toBeGreaterThan(100)
  expect(late).toBeGreaterThan(0)
  expect(moved).toBeGreaterThan(100)
})

test("a suspect whose turn has not come is nobody's when its execution was paused: resumed, it is claimed anew", () => {
  const [first, second] = ['01900000-0000-7000-8000-000000000001', '01900000-0000-7000-8000-000000000002']
  const model = new PooledModel({ ...program([step('a', handler, pooled)]), usesPools: true }, 1)
  model.stored = { ...model.stored, status: 'RUNNING' }
  visit(model, { kind: 'started' })
  for (const _lost of [1, 2]) {
    model.claimStep(first, 0, new Set())
    model.tell(0)
  }
  const claim = { kind: 'stepClaimed', path: 'a', attempt: 1, epoch: 3, worker: second } as const
  Object.assign(model.queue.get('a')!, { epoch: 3, owner: second })
  expect(model.visitAs(second, claim).launches).toMatchObject([{ suspect: true }])
  expect([visit(model, { kind: 'pause', reason: 'x' }), visit(model, { kind: 'resume' })]).toEqual(['applied', 'applied'])
  expect(model.visitAs(second, { ...claim, alone: true }).results).toEqual(['late'])
  expect([...model.queue.values()]).toEqual([{ path: 'a', attempt: 1, epoch: 3, owner: null, pool: 'gpu' }])
})

test('a claim whose answer was lost is told once more: it begins, and nothing has crashed', () => {
  const once = { ...handler, atMostOnce: true } as StepSpec
  const model = new PooledModel({ ...program([step('a', once, pooled)]), usesPools: true }, 1)
  model.stored = { ...model.stored, status: 'RUNNING' }
  visit(model, { kind: 'started' })
  const worker = '01900000-0000-7000-8000-000000000001'
  Object.assign(model.queue.get('a')!, { epoch: 1, owner: worker })
  const claim = { kind: 'stepClaimed', path: 'a', attempt: 1, epoch: 1, worker } as const
  for (const _time of [1, 2]) expect(model.visitAs(worker, claim).launches).toMatchObject([{ suspect: false }])
  expect(model.stored.inFlight).toMatchObject([{ path: 'a', epoch: 1, worker }])
  expect(model.events.map(({ type }) => type)).not.toContain('step.restarted')
})

test('what a worker claims and is canceled in the same moment is not begun', () => {
  const model = new PooledModel({ ...program([step('a', handler, pooled)]), usesPools: true }, 1)
  model.stored = { ...model.stored, status: 'RUNNING' }
  visit(model, { kind: 'started' })
  const worker = '01900000-0000-7000-8000-000000000001'
  const claim = { kind: 'stepClaimed', path: 'a', attempt: 1, epoch: 1, worker } as const
  const transition = decide(model.stored, [claim, { kind: 'cancel', reason: 'enough' }], model.world(worker))
  expect(transition).toMatchObject({ launches: [], next: { status: 'CANCELED', inFlight: [] } })
})
