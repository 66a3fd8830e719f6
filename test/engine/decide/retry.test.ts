import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Outcome } from '../../../src/engine/decide/input.ts'
import { compile } from '../../../src/language/compile.ts'
import { Model } from './model.ts'

const allow = { roles: new Set<string>(), handlers: new Set(['work']) }
const failure = (more: object = {}): Outcome => ({ ok: false, code: 'STEP_FAILED', message: 'no', ...more })

/** Runs a step whose attempts each take `ms` and end so, until it has ended: the pauses between its attempts, and how it ended. */
function play(fields: object, outcome: (attempt: number) => Outcome, ms = 10) {
  const compiled = compile({ name: 'retry', steps: { a: { type: 'handler', handler: 'work', ...fields } } }, allow)
  if (!('program' in compiled)) throw new Error(JSON.stringify(compiled.issues))
  const model = new Model(compiled.program, 1)
  const [worker] = model.workers
  const pauses: number[] = []
  const began = model.now
  worker!.claim()
  while (model.stored.endedAt === null) {
    const [entry] = model.stored.inFlight
    if (entry?.kind === 'backoff') {
      pauses.push(entry.dueAt - model.now)
      model.now = entry.dueAt
      if (worker!.snapshot) worker!.turn([{ kind: 'tick' }])
      else worker!.claim()
    } else {
      model.now += ms
      worker!.turn([worker!.finish(0, outcome(entry!.attempt))!])
    }
  }
  return {
    pauses,
    attempts: model.stepRuns[0]!.attempt,
    status: model.stored.status,
    took: model.now - began,
    error: model.stored.error,
  }
}

test('delays grow by the factor up to the longest, less a share of chance', () => {
  const retry = { attempts: 6, delay: 'PT1S', factor: 3, maxDelay: 'PT10S', jitter: 0 }
  expect(play({ retry }, () => failure()).pauses).toEqual([1000, 3000, 9000, 10_000, 10_000])
  const shaken = play({ retry: { ...retry, jitter: 0.5 } }, () => failure()).pauses
  for (const [i, full] of [1000, 3000, 9000, 10_000, 10_000].entries()) {
    expect(shaken[i]).toBeLessThanOrEqual(full)
    expect(shaken[i]).toBeGreaterThanOrEqual(full / 2)
  }
})

test('`within` bounds all attempts: none begins later than that after the first began, whatever each takes', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 0, max: 5000 }),
      fc.integer({ min: 1, max: 3000 }),
      fc.integer({ min: 1, max: 4 }),
      (within, delay, ms, factor) => {
        const retry = { attempts: 100, delay: `PT${delay / 1000}S`, factor, jitter: 0, within: `PT${within / 1000}S` }
        const { took, attempts } = play({ retry }, () => failure(), ms)
        // the last attempt began in time, and another would not have
        expect(took - ms).toBeLessThanOrEqual(within)
        const next = Math.min(delay * factor ** (attempts - 1), 60_000)
        if (attempts < 100) expect(took + next).toBeGreaterThan(within)
      },
    ),
    { numRuns: 200 },
  )
})

test('`on` and `notOn` name step errors, classes of them, and narrower kinds', () => {
  const retry = (more: object): object => ({ retry: { attempts: 2, delay: 'PT0S', ...more } })
  const crash = failure({ code: 'HANDLER_CRASHED' })
  const busy = failure({ code: 'HTTP_4XX', kind: 'HTTP_429' })
  const attempts = (more: object, outcome: Outcome): number => play(retry(more), () => outcome).attempts
  expect(attempts({ on: ['crashes'] }, crash)).toBe(2)
  expect(attempts({ on: ['crashes'] }, failure())).toBe(1)
  expect(attempts({ notOn: ['crashes'] }, crash)).toBe(1)
  expect(attempts({ notOn: ['crashes', 'TIMEOUT'] }, failure())).toBe(2)
  expect(attempts({ on: ['crashes', 'failures'], notOn: ['HANDLER_CRASHED'] }, crash)).toBe(1)
  expect(attempts({ on: ['HTTP_429'] }, busy)).toBe(2)
  expect(attempts({ on: ['HTTP_4XX'], notOn: ['HTTP_429'] }, busy)).toBe(1)
})

test('a failure may say that another attempt is useless, or when it is not', () => {
  const retry = { attempts: 3, delay: 'PT1S', factor: 1, jitter: 0, maxDelay: 'PT30S' }
  expect(play({ retry }, () => failure({ retryable: false }))).toMatchObject({ attempts: 1, status: 'FAILED' })
  expect(play({ retry }, () => failure({ retryAfterMs: 5000 })).pauses).toEqual([5000, 5000])
  expect(play({ retry }, () => failure({ retryAfterMs: 10 })).pauses).toEqual([1000, 1000])
  expect(play({ retry }, () => failure({ retryAfterMs: 10 ** 9 })).pauses).toEqual([30_000, 30_000])
  expect(play({ retry: { ...retry, within: 'PT6S' } }, () => failure({ retryAfterMs: 5000 })).pauses).toEqual([5000])
})

test('what comes out the same every time is never repeated', () => {
  for (const code of ['EXPRESSION_FAILED', 'INVALID_OUTPUT', 'OUTCOME_UNKNOWN', 'POISONED'])
    expect(play({ retry: { attempts: 5, on: [code] } }, () => failure({ code })).attempts).toBe(1)
})

test('a success ends the attempts', () => {
  const made = play({ retry: { attempts: 5, delay: 'PT1S' } }, (n) => (n < 3 ? failure() : { ok: true, output: 1, bytes: 1 }))
  expect(made).toMatchObject({ attempts: 3, status: 'SUCCEEDED', error: null })
})
