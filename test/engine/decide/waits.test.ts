/** Signals and votes by chance: early, doubled, late, simultaneous, decided on with stale snapshots, with workers that come and go. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Input } from '../../../src/engine/decide/input.ts'
import { hasEnded } from '../../../src/engine/states.ts'
import type { ProgramStep } from '../../../src/language/program.ts'
import type { StepSpec } from '../../../src/language/steps/step-types.ts'
import type { Condition, JsonObject } from '../../../src/language/values.ts'
import { Model, visit } from './model.ts'
import { constant, handler, program, START, step } from './programs.ts'

const NAMES = ['a', 'b', 'c'] as const
/** The first of them started the execution of the model. */
const PEOPLE = ['i', ...[1, 2, 3, 4, 5].map((n) => `01900000-0000-7000-8000-00000000000${n}`)]
const hash = (model: Model, requestId: string): string => {
  const row = model.waits.find((wait) => wait.kind === 'approval' && wait.requestId === requestId)
  return row?.kind === 'approval' ? row.dataHash : ''
}

const isEven: Condition = { evaluate: ({ signal }) => ({ ok: true, value: Number(signal!.data) % 2 === 0 }) }
/** As one that cannot be judged. */
const never: Condition = { evaluate: () => ({ ok: false, message: 'no such field' }) }

const signalSteps: fc.Arbitrary<StepSpec> = fc
  .tuple(fc.uniqueArray(fc.constantFrom(...NAMES), { minLength: 1 }), fc.nat(2))
  .chain(([signals, need]) =>
    fc.constantFrom(undefined, isEven, never).map((where) => ({
      ...{ type: 'signal' as const, signals, need: Math.min(need + 1, signals.length) },
      ...(where && { where }),
    })),
  )
const approvalSteps: fc.Arbitrary<StepSpec> = fc
  .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 3 }), fc.boolean())
  .map(([quorum, rejects, selfApproval]) => ({
    ...{ type: 'approval', subject: constant('?'), data: constant({ n: 1 }), roles: ['USER'], users: constant([]) },
    ...{ quorum, rejects, selfApproval },
  }))

/** Side by side or one after another, with handlers between, so that signals come before their steps begin. */
const flows = fc
  .array(fc.tuple(fc.oneof(signalSteps, approvalSteps, fc.constant(handler)), fc.boolean()), { minLength: 1, maxLength: 7 })
  .map((rows) => {
    const steps: ProgramStep[] = []
    for (const [spec, alone] of rows) {
      const before = steps.at(-1)?.name
      const needs = alone || before === undefined ? START : { mode: 'all' as const, count: 1, of: [before], routes: [] }
      steps.push(step(`s${steps.length}`, spec, { needs, timeoutMs: 600_000 }))
    }
    return program(steps)
  })

type Command =
  | { do: 'signal'; id: number; name: (typeof NAMES)[number]; by: number; stale: boolean; lose: boolean }
  | { do: 'vote'; who: number; approve: boolean; forged: boolean; late: boolean; stale: boolean }
  | { do: 'delegate'; who: number; to: number; stale: boolean }
  | { do: 'claim' | 'crash' | 'finish'; worker: number }
  | { do: 'pause' | 'resume' | 'cancel' | 'remember' }
  | { do: 'time'; ms: number }

const person = fc.nat(PEOPLE.length - 1)
const commands: fc.Arbitrary<Command[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        ...{ do: fc.constant('signal' as const), id: fc.nat(15), name: fc.constantFrom(...NAMES), by: fc.nat(2) },
        ...{ stale: fc.boolean(), lose: fc.boolean() },
      }),
    },
    {
      weight: 8,
      arbitrary: fc.record({
        ...{ do: fc.constant('vote' as const), who: person, approve: fc.boolean(), forged: fc.boolean(), late: fc.boolean() },
        stale: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('delegate' as const), who: person, to: person, stale: fc.boolean() }) },
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constantFrom('claim' as const, 'crash' as const, 'finish' as const), worker: fc.nat(1) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('pause' as const, 'resume' as const, 'cancel' as const) }),
    },
    { weight: 1, arbitrary: fc.constant<Command>({ do: 'remember' }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('time' as const), ms: fc.integer({ min: 1, max: 200_000 }) }) },
  ),
  { minLength: 10, maxLength: 80, size: 'max' },
)

const sentBy = 'user_somebody'
const signaled = (id: number, name: string): Input => ({ kind: 'signaled', id: `id${id}`, name, data: id, bytes: 2, sentBy })

function play(model: Model, script: readonly Command[]): void {
  let remembered = model.stored
  const seen: string[] = []
  for (const command of script) {
    const stale = 'stale' in command && command.stale ? remembered : undefined
    for (const entry of model.stored.inFlight) if (entry.kind === 'approval') seen.push(entry.requestId)
    const open = model.stored.inFlight.find((entry) => entry.kind === 'approval')?.requestId
    switch (command.do) {
      case 'signal': {
        const input = signaled(command.id, command.name)
        const holder = model.workers.find((worker) => worker.id === model.stored.owner && worker.alive && worker.snapshot)
        // by the worker that holds it, whose answer may be lost, or by whoever visits
        if (holder) holder.turn([input], command.lose)
        else visit(model, input, stale)
        break
      }
      case 'vote': {
        const requestId = command.late ? seen[0] : open
        if (requestId === undefined) break
        const decision = command.approve ? 'APPROVE' : 'REJECT'
        const dataHash = command.forged ? 'f'.repeat(64) : hash(model, requestId)
        visit(model, { kind: 'voted', requestId, dataHash, decision, data: null, by: PEOPLE[command.who]! }, stale)
        break
      }
      case 'delegate':
        if (open !== undefined)
          visit(model, { kind: 'delegated', requestId: open, from: PEOPLE[command.who]!, to: PEOPLE[command.to]! }, stale)
        break
      case 'time':
        model.now += command.ms
        break
      case 'remember':
        remembered = model.stored
        break
      case 'pause':
      case 'resume':
      case 'cancel':
        visit(model, { kind: command.do, reason: 'because' })
        break
      default:
        work(model, command)
    }
  }
}

function work(model: Model, command: { do: 'claim' | 'crash' | 'finish'; worker: number }): void {
  const worker = model.workers[command.worker]!
  if (command.do === 'crash') worker.crash()
  else if (command.do === 'claim') {
    if (!worker.alive) worker.restart()
    worker.claim()
  } else {
    const input = worker.finish(0, { ok: true, output: {}, bytes: 2 })
    if (input) worker.turn([input])
  }
}

/** Everything stored about signals agrees: what came is taken once or waits, and outputs hold what was taken for them. */
function checkSignals(model: Model): void {
  const received = model.waits.filter((wait) => wait.kind === 'signal')
  const taken = model.waits.filter((wait) => wait.kind === 'taken')
  expect(new Set(received.map(({ id }) => id)).size).toBe(received.length)
  expect(new Set(taken.map(({ seq }) => seq)).size).toBe(taken.length)
  const seqs = new Set(taken.map(({ seq }) => seq))
  expect((model.stored.signals ?? []).map(({ seq }) => seq)).toEqual(
    received.filter(({ seq }) => !seqs.has(seq)).map(({ seq }) => seq),
  )
  expect(received.map(({ seq }) => model.events[seq - 1]!.type)).toEqual(received.map(() => 'signal.received'))
  for (const run of model.stepRuns) {
    if (run.type !== 'signal') continue
    const own = taken.filter(({ path }) => path === run.path).map(({ seq }) => received.find((signal) => signal.seq === seq)!)
    const { spec } = model.stored.program.step(run.name)!
    if (run.status !== 'SUCCEEDED' || spec.type !== 'signal') expect(own).toEqual([])
    else {
      expect(own).toHaveLength(spec.need)
      expect(new Set(own.map(({ name }) => name)).size).toBe(spec.need)
      expect((run.output as JsonObject)['received']).toEqual(own.map(({ name }) => name))
      for (const { name } of own) expect(spec.signals).toContain(name)
      if (spec.where) expect(own.map(({ data }) => Number(data) % 2)).toEqual(own.map(() => 0))
    }
  }
}

function checkVotes(model: Model): void {
  const votes = model.waits.filter((wait) => wait.kind === 'vote')
  const once = (keys: string[]): void => expect(new Set(keys).size).toBe(keys.length)
  once(votes.map(({ requestId, by }) => `${requestId}/${by}`))
  once(votes.map((vote) => `${vote.requestId}/${vote.for}`))
  for (const vote of votes) expect(vote.dataHash).toBe(hash(model, vote.requestId))
  for (const approval of model.waits) {
    if (approval.kind !== 'approval') continue
    const { requestId, quorum, rejects, selfApproval } = approval
    const own = votes.filter((vote) => vote.requestId === requestId)
    if (!selfApproval) expect(own.flatMap((vote) => [vote.by, vote.for])).not.toContain('i')
    const count = (decision: string): number => own.filter((vote) => vote.decision === decision).length
    expect(count('APPROVE')).toBeLessThanOrEqual(quorum)
    expect(count('REJECT')).toBeLessThanOrEqual(rejects)
    const run = model.stepRuns.find(({ output }) => isOf(output, approval.dataHash, own.length))
    if (count('APPROVE') === quorum || count('REJECT') === rejects) expect(run).toBeDefined()
  }
}

const isOf = (output: unknown, dataHash: string, votes: number): boolean => {
  const made = output as { dataHash?: string; votes?: unknown[] } | undefined
  return made?.dataHash === dataHash && made.votes?.length === votes
}

/** From wherever chance has left it: an honest worker, and time. */
function bringToEnd(model: Model): void {
  for (const worker of model.workers) worker.crash()
  const last = model.workers[0]!
  last.restart()
  if (model.stored.pauseReason !== null) visit(model, { kind: 'resume' })
  for (let round = 0; round < 200 && !hasEnded(model.stored.status); round++) {
    last.claim()
    const input = last.finish(0, { ok: true, output: {}, bytes: 2 })
    if (input) last.turn([input])
    else if (last.lane.length > 0) last.suspect()
    else visit(model, { kind: 'tick' })
    model.now += 60_000
  }
}

test('whatever comes in whatever order, each signal is taken once or waits, and each person votes once (D9)', () => {
  let taken = 0
  let decided = 0
  fc.assert(
    fc.property(flows, commands, (flow, script) => {
      const model = new Model(flow, 2)
      play(model, script)
      checkSignals(model)
      checkVotes(model)
      taken += model.waits.filter(({ kind }) => kind === 'taken').length
      decided += model.stepRuns.filter(({ type, status }) => type === 'approval' && status === 'SUCCEEDED').length
      bringToEnd(model)
      expect(hasEnded(model.stored.status)).toBe(true)
      expect(model.openAsks.size).toBe(0)
      checkSignals(model)
    }),
    { numRuns: 400 },
  )
  // chance brings about 260 and 60
  expect(taken).toBeGreaterThan(120)
  expect(decided).toBeGreaterThan(20)
})
