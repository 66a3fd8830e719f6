/**
 * A small world in memory that keeps what a database would: the stored execution, its step runs and events, with the same fence
 * (version and epoch) as the commit function. Workers and an API writer act on it by chance, with stale snapshots, lost and
 * doubled outcomes, lost acknowledgements, crashes and takeovers.
 */
import { decide } from '../../../src/engine/decide/decide.ts'
import type { EventRow, Launch, StepRunRow, Transition, World } from '../../../src/engine/decide/draft.ts'
import type { WaitRow } from '../../../src/engine/decide/wait-rows.ts'
import type { Input, Outcome } from '../../../src/engine/decide/input.ts'
import { relaunches } from '../../../src/engine/decide/relaunch.ts'
import { isCompensation } from '../../../src/engine/decide/run.ts'
import type { Snapshot } from '../../../src/engine/decide/snapshot.ts'
import { isAttempt, isReadable } from '../../../src/engine/in-flight.ts'
import { EXECUTION_TRANSITIONS, hasEnded } from '../../../src/engine/states.ts'
import type { Program } from '../../../src/language/program.ts'

export class Model {
  now = 1_000_000
  stored: Snapshot
  readonly stepRuns: StepRunRow[] = []
  readonly events: EventRow[] = []
  readonly openAsks = new Set<string>()
  readonly lates: unknown[] = []
  readonly waits: WaitRow[] = []
  /** children that were started, and whether they have ended or were told to */
  readonly children = new Map<string, { ended: boolean; canceled: boolean }>()
  /** what children said that the execution has not read yet */
  readonly inbox: (Input & { kind: 'childEnded' })[] = []
  readonly workers: ModelWorker[]
  /** what ran, whoever ran it: attempts of handlers that somebody launched */
  launched = 0

  constructor(program: Program, workers: number) {
    this.stored = {
      ...{
        id: 'e',
        flowId: 'f',
        flowVersionId: 'v',
        initiatorId: 'i',
        program,
        input: {},
        status: 'PENDING',
        version: 0,
        epoch: 0,
      },
      ...{
        owner: null,
        wakeAt: null,
        deadlineAt: this.now + program.timeoutMs,
        cancelReason: null,
        pauseReason: null,
        ending: null,
        seq: 0,
        lastEventAt: this.now,
      },
      ...{
        stateBytes: 2,
        createdAt: this.now,
        startedAt: null,
        endedAt: null,
        reason: null,
        error: null,
        steps: new Map(),
        inFlight: [],
      },
    }
    this.stored = { ...this.stored, version: 1 }
    this.workers = Array.from({ length: workers }, (_, index) => new ModelWorker(this, `w${index}`))
  }

  world(worker: string | null): World {
    const draining = this.workers.some((w) => w.draining && w.id === worker)
    return { now: this.now, worker, adopt: worker !== null && !draining, draining, keepMs: 1000, fenceMs: 10_000 }
  }

  /** The commit function: stale unless version and epoch are those that were decided on. */
  commit(transition: Transition): 'committed' | 'stale' {
    const { from, next } = transition
    if (!transition.changed) return this.late(transition)
    if (this.stored.version !== from.version || this.stored.epoch !== from.epoch) return 'stale'
    this.check(transition)
    this.checkFence(transition)
    for (const { entry } of next.owner === null ? [] : transition.launches) {
      const inFlight = next.inFlight.some(({ path, attempt }) => path === entry.path && attempt === entry.attempt)
      if (!inFlight) throw new Error(`${entry.path} was launched, and is not in flight`)
    }
    // what is read back has no order
    this.stored = { ...next, steps: new Map([...next.steps].toReversed()) }
    this.events.push(...transition.events)
    for (const run of transition.stepRuns) {
      if (this.stepRuns.some(({ path }) => path === run.path)) throw new Error(`${run.path} was recorded twice`)
      this.stepRuns.push(run)
    }
    for (const ask of transition.asks) if (ask.kind !== 'NOTICE') this.openAsks.add(ask.id)
    for (const ask of transition.closedAsks) if (!this.openAsks.delete(ask.id)) throw new Error(`${ask.id} was not open`)
    this.waits.push(...transition.waits)
    for (const word of transition.words) if (word.kind === 'cancel') this.childOf(word.executionId).canceled = true
    for (const key of transition.readMessages) {
      const at = this.inbox.findIndex((word) => word.key === key)
      if (at < 0) throw new Error(`${key} was read twice`)
      this.inbox.splice(at, 1)
    }
    return this.late(transition)
  }

  /** Also one that is not there yet: what it is told waits for it. */
  childOf(id: string): { ended: boolean; canceled: boolean } {
    const child = this.children.get(id) ?? { ended: false, canceled: false }
    this.children.set(id, child)
    return child
  }

  /** One that runs comes to its end, and says so. */
  endChild(index: number, status: 'SUCCEEDED' | 'FAILED' | 'CANCELED'): void {
    const running = [...this.children].filter(([, { ended }]) => !ended)
    const [childId, child] = running[index % Math.max(running.length, 1)] ?? []
    if (childId === undefined || !child) return
    child.ended = true
    this.inbox.push({ kind: 'childEnded', key: `ended/${childId}`, childId, status, reason: null, error: null, output: { n: 1 } })
  }

  private late(transition: Transition): 'committed' {
    this.lates.push(...transition.lates)
    return 'committed'
  }

  /** What the CHECKs, the trigger and common sense demand of every stored state. */
  private check({ from, next, events, stepRuns }: Transition): void {
    const fail = (what: string): never => {
      throw new Error(`${what} (${from.status} -> ${next.status})`)
    }
    if (hasEnded(from.status)) fail('a finished execution changed')
    if (from.status !== next.status && !EXECUTION_TRANSITIONS[from.status].includes(next.status)) fail('no such transition')
    if (next.version !== from.version + 1) fail('version')
    if (hasEnded(next.status)) {
      if (next.owner !== null || next.wakeAt !== null || next.deadlineAt !== null || next.inFlight.length > 0)
        fail('ended, but not idle')
    } else {
      if (next.owner !== null && next.status !== 'RUNNING') fail('owned, but not running')
      const acts = next.inFlight.some(({ kind }) => kind === 'act')
      if (next.status === 'WAITING' && (acts || next.wakeAt === null || next.inFlight.length === 0)) fail('waiting for nothing')
      if (next.status === 'RUNNING' && next.inFlight.length === 0) fail('running nothing')
      if (next.startedAt !== null && next.deadlineAt === null) fail('no deadline')
      if (next.ending !== null) {
        if (next.reason === null || (next.status !== 'RUNNING' && next.status !== 'WAITING')) fail('undoing in no such state')
        if (next.inFlight.length > 1 || !next.inFlight.every(({ path }) => isCompensation(path)))
          fail('undoing, and something else')
      } else if (next.inFlight.some(({ path }) => isCompensation(path))) fail('undoing without an end in sight')
    }
    let { seq, lastEventAt } = from
    for (const event of events) {
      if (event.seq !== ++seq) fail('a gap in seq')
      if (event.at < lastEventAt) fail('event times went back')
      lastEventAt = event.at
    }
    if (next.seq !== seq) fail('seq')
    for (const run of stepRuns) this.checkOrder(run, next, fail)
    const paths = next.inFlight.map(({ path }) => path)
    if (new Set(paths).size !== paths.length) fail('a path twice in flight')
    if (paths.some((path) => next.steps.has(path))) fail('a step both ended and in flight')
    if (!(JSON.parse(JSON.stringify(next.inFlight)) as typeof next.inFlight).every(isReadable)) fail('not to be read again')
  }

  /** Only the attempt that is in flight, under the epoch that launched it, may end a step. */
  private checkFence({ from, inputs, results }: Transition): void {
    for (const [index, input] of inputs.entries()) {
      if (input.kind !== 'outcome' || results[index] !== 'applied') continue
      const entry = from.inFlight.find(({ path }) => path === input.path)
      const same = entry && isAttempt(entry) && entry.attempt === input.attempt && entry.epoch === input.epoch
      if (!same) throw new Error('a late outcome was applied')
    }
  }

  private checkOrder(run: StepRunRow, next: Snapshot, fail: (what: string) => never): void {
    if (run.status !== 'SUCCEEDED' || isCompensation(run.path)) return
    const { program, steps } = next
    const { needs } = program.step(run.name)!
    const succeeded = needs.of.filter((name) => {
      const status = steps.get(name)?.status
      return status === 'SUCCEEDED' || (status === 'FAILED' && program.step(name)!.onError === 'continue')
    }).length
    if (needs.failures && !needs.failures.some((name) => steps.get(name)?.status === 'FAILED'))
      fail(`${run.name} answers for nothing`)
    if (succeeded < needs.count) fail(`${run.name} ran before its dependencies`)
    for (const { router, route } of needs.routes)
      if (next.steps.get(router)?.route !== route) fail(`${run.name} ran off its route`)
  }

  claim(worker: ModelWorker): boolean {
    const { stored } = this
    if (hasEnded(stored.status) || stored.owner === worker.id) return false
    const dead = stored.owner !== null && !this.workers.some((w) => w.id === stored.owner && w.alive)
    const ready = stored.owner === null && (stored.status === 'PENDING' || stored.status === 'RUNNING')
    const due = stored.wakeAt !== null && stored.wakeAt <= this.now
    if (!dead && !ready && !due) return false
    this.stored = { ...stored, owner: worker.id, epoch: stored.epoch + 1, status: 'RUNNING', wakeAt: null }
    return true
  }
}

interface Attempt {
  path: string
  attempt: number
  epoch: number
  childId?: string
}

export class ModelWorker {
  alive = true
  /** it claims nothing, and is to begin nothing */
  draining = false
  snapshot: Snapshot | undefined
  running: Attempt[] = []
  lane: Launch[] = []
  private incarnation = 0
  private readonly model: Model
  private readonly name: string

  constructor(model: Model, name: string) {
    this.model = model
    this.name = name
  }

  get id(): string {
    return `${this.name}.${this.incarnation}`
  }

  /** Everything in memory is gone; the next incarnation has another id. */
  crash(): void {
    this.alive = false
    this.snapshot = undefined
    this.running = []
    this.lane = []
  }

  restart(): void {
    this.incarnation++
    this.alive = true
    this.draining = false
  }

  claim(): void {
    if (!this.alive || this.draining || !this.model.claim(this)) return
    this.snapshot = this.model.stored
    this.running = []
    this.lane = []
    this.turn(this.snapshot.startedAt === null ? [{ kind: 'started' }, { kind: 'claimed' }] : [{ kind: 'claimed' }])
  }

  drain(lose: boolean): void {
    this.draining = true
    if (this.snapshot) this.turn([{ kind: 'tick' }], lose)
  }

  /** Ends one attempt; the outcome may be kept back and come again later. */
  finish(index: number, outcome: Outcome): Input | undefined {
    const attempt = this.running[index % Math.max(this.running.length, 1)]
    if (!this.alive || !attempt) return undefined
    this.running = this.running.filter((other) => other !== attempt)
    const { childId, ...which } = attempt
    // the child is there from here on, whatever becomes of the outcome
    if (childId !== undefined && outcome.ok) this.model.childOf(childId)
    return { kind: 'outcome', ...which, outcome }
  }

  suspect(): void {
    const launch = this.lane.shift()
    if (this.alive && launch) this.turn([{ kind: 'isolated', path: launch.entry.path, attempt: launch.entry.attempt }])
  }

  /** `loseAck`: it was stored, but nobody told us; we read again and decide again. */
  turn(inputs: Input[], loseAck = false): void {
    if (!this.alive) return
    let lost = loseAck
    for (let round = 0; round < 10; round++) {
      const snapshot = (this.snapshot ??= this.reload())
      const transition = decide(snapshot, inputs, this.model.world(this.id))
      const verdict = this.model.commit(transition)
      if (verdict === 'stale' || (lost && transition.changed)) {
        lost = false
        this.snapshot = undefined
        continue
      }
      this.snapshot = transition.next
      if (this.draining && transition.launches.length > 0) throw new Error('a draining worker launches')
      this.act(transition)
      const idle = !transition.next.inFlight.some((e) => e.kind === 'act' && e.epoch === transition.next.epoch)
      if (this.draining && idle && this.snapshot.owner === this.id) throw new Error('a draining worker holds what does not run')
      if (this.snapshot.owner !== this.id) this.release()
      return
    }
    throw new Error('it never became fresh')
  }

  private reload(): Snapshot {
    const { stored } = this.model
    if (stored.owner !== this.id) this.running = []
    else {
      this.running = this.running.filter((run) =>
        stored.inFlight.some((e) => e.kind === 'act' && e.path === run.path && e.epoch === run.epoch),
      )
      for (const launch of relaunches(stored, this.model.world(this.id))) this.launch(launch)
    }
    return stored
  }

  private act({ launches, aborts }: Transition): void {
    for (const { path } of aborts) this.running = this.running.filter((run) => run.path !== path)
    for (const launch of launches) {
      if (launch.suspect) this.lane.push(launch)
      else this.launch(launch)
    }
  }

  private launch({ entry }: Launch): void {
    if (this.running.some((run) => run.path === entry.path)) return
    this.model.launched++
    this.running.push({
      ...{ path: entry.path, attempt: entry.attempt, epoch: entry.epoch },
      ...(entry.kind === 'act' && entry.childId !== undefined && { childId: entry.childId }),
    })
  }

  private release(): void {
    this.snapshot = undefined
    this.running = []
    this.lane = []
  }
}

/** The API: reads, decides, writes; holds nothing. */
export function visit(model: Model, input: Input, staleSnapshot?: Snapshot): string {
  let snapshot = staleSnapshot ?? model.stored
  for (let round = 0; round < 10; round++) {
    const transition = decide(snapshot, [input], model.world(null))
    if (model.commit(transition) === 'committed') return transition.results[0]!
    snapshot = model.stored
  }
  throw new Error('it never became fresh')
}
