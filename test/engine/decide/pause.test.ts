import { expect, test } from 'vitest'
import { decide } from '../../../src/engine/decide/decide.ts'
import { Model, visit } from './model.ts'
import { agent, handler, NO_RETRY, program, step, waiting } from './programs.ts'

const BY = 'user_01h455vb4pex5vsknk084sn02q'

/** Begun by its worker. */
function begun(model: Model): Model {
  model.workers[0]!.claim()
  return model
}

test('what falls due while an execution is paused fires when it is resumed, and not before (A16)', () => {
  const model = begun(
    new Model(
      program([
        step('nap', waiting(5000)),
        step('ask', agent),
        step('after', handler, { needs: { mode: 'all', count: 1, of: ['nap'], routes: [] } }),
      ]),
      1,
    ),
  )
  visit(model, { kind: 'pause', reason: 'lunch', by: BY })
  expect(model.stored).toMatchObject({ status: 'PAUSED', pauseReason: 'lunch', owner: null, wakeAt: null })
  expect(model.events.at(-1)).toMatchObject({ type: 'execution.paused', data: { reason: 'lunch', by: BY } })
  model.now += 70_000
  visit(model, { kind: 'tick' })
  expect(model.stored.inFlight.map(({ path }) => path)).toEqual(['nap', 'ask'])
  visit(model, { kind: 'resume', by: BY })
  const after = model.events.slice(model.events.findIndex(({ type }) => type === 'execution.resumed'))
  expect(after.map(({ type, path }) => `${type} ${path ?? ''}`.trim())).toEqual([
    ...['execution.resumed', 'step.succeeded nap'],
    // nobody can answer any more
    ...['agent.expired ask', 'step.failed ask', 'execution.failed'],
  ])
})

test('the deadline of a flow goes on while an execution of it is paused (D4)', () => {
  const model = begun(new Model(program([step('nap', waiting(5000))], { timeoutMs: 60_000 }), 1))
  visit(model, { kind: 'pause', reason: 'for good' })
  model.now += 59_000
  visit(model, { kind: 'tick' })
  expect(model.stored.status).toBe('PAUSED')
  model.now += 1000
  visit(model, { kind: 'tick' })
  expect(model.stored).toMatchObject({ status: 'TIMED_OUT', error: { code: 'FLOW_TIMEOUT' } })
})

test('what runs when an execution is paused ends, and what fails then waits for its next attempt until it is resumed', () => {
  const model = begun(new Model(program([step('work', handler, { retry: { ...NO_RETRY, attempts: 2 } })]), 1))
  const [worker] = model.workers
  visit(model, { kind: 'pause', reason: 'lunch' })
  expect(model.stored).toMatchObject({ status: 'RUNNING', pauseReason: 'lunch' })
  worker!.snapshot = undefined
  worker!.turn([worker!.finish(0, { ok: false, code: 'STEP_FAILED', message: 'the till is empty' })!])
  expect(model.stored.status).toBe('PAUSED')
  expect(model.stored.inFlight).toMatchObject([
    { kind: 'backoff', attempt: 2, error: { code: 'STEP_FAILED', message: 'the till is empty' } },
  ])
  model.now += 10_000
  worker!.claim()
  expect(model.stored.status).toBe('PAUSED')
  visit(model, { kind: 'resume' })
  worker!.claim()
  expect(worker!.running).toMatchObject([{ path: 'work', attempt: 2 }])
})

test('to be canceled ends a pause; whoever asked for it stands in the history', () => {
  const model = begun(new Model(program([step('ask', agent)]), 1))
  visit(model, { kind: 'pause', reason: 'lunch' })
  visit(model, { kind: 'cancel', reason: 'no more', by: BY })
  expect(model.stored).toMatchObject({ status: 'CANCELED', reason: 'no more' })
  const asked = model.events.find(({ type }) => type === 'execution.cancelRequested')
  expect(asked?.data).toEqual({ reason: 'no more', by: BY })
})

test('a start that has its slot keeps it and its turn when it is paused and resumed before either is stored (A16)', () => {
  const model = new Model(program([step('work', handler)]), 1)
  const granted = { ...model.stored, slotKey: 'k', wakeAt: null }
  const { next } = decide(granted, [{ kind: 'pause', reason: 'lunch' }, { kind: 'resume' }], model.world(null))
  expect(next).toMatchObject({ status: 'PENDING', slotKey: 'k', wakeAt: null })
})

test('a signal without a timeout of its own is waited for as long as the version gives that the execution moves to', () => {
  const paid = step('paid', { type: 'signal', signals: ['paid'], need: 1 })
  const [short, long] = [program([paid], { timeoutMs: 60_000 }), program([paid], { timeoutMs: 600_000 })]
  const model = begun(new Model(short, 1))
  const versions = { from: { id: model.stored.flowVersionId, number: 1 }, to: { id: 'v2', number: 2, program: long } }
  expect(visit(model, { kind: 'migrate', migration: { ...versions, changed: new Set() }, by: BY })).toBe('applied')
  model.now += 61_000
  visit(model, { kind: 'tick' })
  expect(model.stored.status).toBe('WAITING')
  model.now += 540_000
  visit(model, { kind: 'tick' })
  expect(model.stored).toMatchObject({ status: 'TIMED_OUT', error: { code: 'FLOW_TIMEOUT' } })
})
