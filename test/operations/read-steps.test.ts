/** What people see of steps, merged from the definition, what ended and what is under way. */
import { expect, test } from 'vitest'
import type { StepRun } from '../../src/engine/entities/step-run.ts'
import type { InFlight } from '../../src/engine/in-flight.ts'
import type { ExecutionStatus } from '../../src/engine/states.ts'
import { compile } from '../../src/language/compile.ts'
import { mergeSteps, nameOf } from '../../src/operations/executions/read-steps.ts'
import { executionWaitsFor, NO_MORE, sayWaiting, WAITING_KINDS, waitingOf } from '../../src/operations/executions/waiting-for.ts'
import type { Waiting, Waits } from '../../src/operations/executions/waiting-for.ts'
import { NEVER_MS } from '../../src/engine/decide/snapshot.ts'

const allow = { roles: new Set(['ceo']), handlers: new Set(['work']) }
const definition = {
  name: 'example',
  steps: {
    ask: { type: 'agent', role: 'ceo', subject: 'x', request: {} },
    work: { type: 'handler', handler: 'work', after: ['ask'] },
    done: { type: 'transform', set: {}, after: ['work'] },
  },
}
const compiled = compile(definition, allow)
if (!('program' in compiled)) throw new Error(JSON.stringify(compiled))
const { program } = compiled

const execution = (status: ExecutionStatus, inFlight: InFlight[] = []) => ({ id: 'e', flowVersionId: 'v', status, inFlight })
const run = (path: string, status: StepRun['status'], more: Partial<StepRun> = {}) =>
  ({
    executionId: 'e',
    path,
    name: nameOf(path),
    type: 'handler',
    status,
    attempt: 1,
    finishedAt: new Date(5000),
    ...more,
  }) as StepRun
const statuses = (views: ReturnType<typeof mergeSteps>) => Object.fromEntries(views.map(({ path, status }) => [path, status]))

const asking: InFlight = { kind: 'agent', path: 'ask', attempt: 1, startedAt: 1000, dueAt: 9000, requestId: 'r' }
const working: InFlight = { kind: 'act', path: 'work', attempt: 2, startedAt: 2000, epoch: 1 }
const backingOff: InFlight = { kind: 'backoff', path: 'work', attempt: 2, startedAt: 2000, dueAt: 3000 }

test('a step that has not begun is pending, and canceled when its execution ended without it', () => {
  expect(statuses(mergeSteps(execution('RUNNING'), [], program))).toEqual({ ask: 'PENDING', work: 'PENDING', done: 'PENDING' })
  expect(statuses(mergeSteps(execution('FAILED'), [run('ask', 'FAILED')], program))).toEqual({
    ask: 'FAILED',
    work: 'CANCELED',
    done: 'CANCELED',
  })
})

test('a step under way runs or waits, with its attempt and since when', () => {
  const views = mergeSteps(execution('RUNNING', [asking, working]), [], program)
  expect(views[0]).toMatchObject({
    path: 'ask',
    type: 'agent',
    status: 'WAITING',
    attempt: 1,
    startedAt: new Date(1000),
    finishedAt: null,
  })
  expect(views[1]).toMatchObject({ path: 'work', type: 'handler', status: 'RUNNING', attempt: 2, startedAt: new Date(2000) })
  expect(statuses(mergeSteps(execution('WAITING', [backingOff]), [], program))['work']).toBe('WAITING')
})

test('what has ended counts more than what was under way a moment earlier', () => {
  expect(statuses(mergeSteps(execution('RUNNING', [asking]), [run('ask', 'SUCCEEDED')], program))['ask']).toBe('SUCCEEDED')
})

test('the order is that of the definition, whatever ended first', () => {
  const views = mergeSteps(execution('SUCCEEDED'), [run('done', 'SUCCEEDED'), run('ask', 'SUCCEEDED')], program)
  expect(views.map(({ name }) => name)).toEqual(['ask', 'work', 'done'])
})

test('when the definition is not allowed any more, what began is still told (A1)', () => {
  const views = mergeSteps(execution('FAILED', [working]), [run('ask', 'SUCCEEDED')], undefined)
  expect(statuses(views)).toEqual({ work: 'RUNNING', ask: 'SUCCEEDED' })
})

test('a path leads to the step that it belongs to', () => {
  expect(['poll', 'poll[3]', 'poll[3].items[17]'].map(nameOf)).toEqual(['poll', 'poll', 'poll'])
})

test('what waits says for what and until when; what runs does not', () => {
  expect(waitingOf(asking)).toMatchObject({
    ...{ kind: 'AGENT', step: 'ask', since: new Date(1000), until: new Date(9000), requestId: 'r', signals: [], needed: null },
  })
  expect(waitingOf(backingOff)).toMatchObject({ kind: 'RETRY', requestId: null })
  expect(waitingOf({ ...backingOff, kind: 'wait' })).toMatchObject({ kind: 'TIMER', until: new Date(3000) })
  expect(waitingOf(working)).toBeNull()
  const waits = { path: 'ask', attempt: 1, startedAt: 1000, dueAt: 9000 }
  const signal: InFlight = { ...waits, kind: 'signal', signals: ['a', 'b'], need: 2 }
  expect(waitingOf(signal)).toMatchObject({ kind: 'SIGNAL', signals: ['a', 'b'], needed: 2 })
  const votes = (['APPROVE', 'REJECT'] as const).map((decision) => ({ by: decision, decision, data: null, at: 2000 }))
  const approval: InFlight = {
    ...{ ...waits, kind: 'approval', requestId: 'r', dataHash: 'h', quorum: 3, rejects: 2, selfApproval: false },
    ...{ votes, delegations: [] },
  }
  expect(waitingOf(approval)).toMatchObject({ kind: 'APPROVAL', needed: 2, requestId: 'r' })
})

const EXECUTION: Waits = {
  ...{ status: 'WAITING', createdAt: new Date(500), lastEventAt: new Date(600), wakeAt: null, deadlineAt: null, inFlight: [] },
  ...{ owner: null, cancelReason: null, pauseReason: null, ending: null },
}

test('an execution waits for what is due first, unless something of it runs', () => {
  const of = (status: ExecutionStatus, inFlight: InFlight[], wakeAt: Date | null = null) =>
    executionWaitsFor({ ...EXECUTION, status, inFlight, wakeAt })
  expect(of('WAITING', [asking, backingOff])).toMatchObject({ kind: 'RETRY', step: 'work' })
  expect(executionWaitsFor({ ...EXECUTION, status: 'RUNNING', owner: 'w', inFlight: [asking, working] })).toBeNull()
  expect(of('SUCCEEDED', [])).toBeNull()
  expect(of('PENDING', [], new Date(7000))).toMatchObject({
    ...{ kind: 'START', step: null, since: new Date(500), until: new Date(7000), requestId: null, signals: [] },
    needed: null,
  })
  expect(of('PENDING', [], new Date(NEVER_MS))).toMatchObject({ kind: 'SLOT', until: null })
  expect(of('PENDING', [])).toMatchObject({ kind: 'WORKER', since: new Date(600) })
})

test('what was paused, or is being canceled, says so before everything else; what runs it has first to end', () => {
  const paused = { ...EXECUTION, status: 'PAUSED' as const, pauseReason: 'lunch', inFlight: [asking] }
  expect(executionWaitsFor(paused)).toMatchObject({ kind: 'PAUSED', reason: 'lunch', until: null })
  expect(executionWaitsFor({ ...paused, status: 'RUNNING', owner: 'w', inFlight: [working] })).toBeNull()
  const canceling = { ...EXECUTION, status: 'RUNNING' as const, owner: 'w', cancelReason: 'no', deadlineAt: new Date(8000) }
  expect(executionWaitsFor({ ...canceling, inFlight: [working] })).toMatchObject({ kind: 'CANCELING', until: new Date(8000) })
  // it undoes what it did: that is work
  expect(executionWaitsFor({ ...canceling, inFlight: [working], ending: 'CANCELED' })).toBeNull()
  expect(executionWaitsFor({ ...canceling, status: 'CANCELED', inFlight: [] })).toBeNull()
})

test('each kind of waiting is told in a sentence', () => {
  const say = (more: Partial<Waiting>) => sayWaiting({ ...NO_MORE, kind: 'PAUSED', since: new Date(0), step: 'pay', ...more })
  expect(
    WAITING_KINDS.map((kind) => say({ kind, needed: 1, signals: ['paid'], attempt: 2, ahead: 3, workers: 1, pool: 'gpu' })),
  ).toEqual([
    ...['pay waits for an answer.', 'pay waits for 1 more approval.', 'pay waits for 1 of the signals paid.'],
    ...['pay waits for its time.', 'pay waits for its attempt 2.', 'pay waits for the end of the execution that it started.'],
    ...[
      'It waits for the time that it is to start at.',
      'It waits for others of its flow to end.',
      'pay waits for a worker of pool gpu; 1 running.',
    ],
    ...['It was paused', 'It is being canceled', 'It waits for a worker; 3 go first.'],
  ])
  expect(say({ by: 'user_x', reason: 'lunch' })).toBe('It was paused by user_x: lunch')
  expect(say({ kind: 'RETRY', attempt: 3, error: { code: 'TIMEOUT', message: '' } })).toContain(
    'the last one failed with TIMEOUT',
  )
  expect(say({ kind: 'WORKER', workers: 0, ahead: 7 })).toBe('No worker is alive to run it.')
  expect(say({ kind: 'WORKER', workers: 2 })).toBe('Its worker was lost; another one takes it over.')
})
