/** The engine's own decisions on a virtual clock: what a case gives is what steps get, and the history is the one of the engine. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compile } from '../../src/language/compile.ts'
import { validateDefinition } from '../../src/language/validate.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import type { Program } from '../../src/language/program.ts'
import { readCase } from '../../src/simulation/case.ts'
import { simulate } from '../../src/simulation/simulate.ts'
import type { Simulation } from '../../src/simulation/simulation.ts'

const LIMITS = { transitions: 100_000, events: 100_000, work: 1_000_000_000 }

function programOf(steps: object, more: object = {}): Program {
  const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set(['work', 'undo']) }
  const made = compile({ name: 'flow', steps, ...more }, allow)
  if ('issues' in made) throw new Error(JSON.stringify(made.issues))
  return made.program
}

function run(steps: object, given: object = {}, more: object = {}, limits = LIMITS): Simulation {
  const program = programOf(steps, more)
  const read = readCase(given, program)
  if (!('case' in read)) throw new Error(JSON.stringify(read.issues))
  return simulate(program, read.case, limits)
}

const work = (more: object = {}) => ({ type: 'handler', handler: 'work', ...more })
const typesOf = ({ events }: Simulation) => events.map(({ type, path }) => (path === undefined ? type : `${type} ${path}`))

test('thirty days of waiting take less than a second, and the clock says thirty days', () => {
  const steps: Record<string, object> = {}
  for (let day = 1; day <= 30; day++) {
    steps[`wait${day}`] = { type: 'wait', duration: 'P1D', ...(day > 1 && { after: [`work${day - 1}`] }) }
    steps[`work${day}`] = work({ after: [`wait${day}`], with: { day } })
  }
  const began = performance.now()
  const found = run(
    steps,
    { results: { [`work7`]: [{ error: { code: 'STEP_FAILED' } }, { output: 7 }], ...all(30) } },
    { timeout: 'P60D' },
  )
  expect(performance.now() - began).toBeLessThan(1_000)
  expect(found.status).toBe('SUCCEEDED')
  const days = (found.endedAt - found.startedAt) / 86_400_000
  expect(days).toBeGreaterThanOrEqual(30)
  expect(days).toBeLessThan(30.001)
  expect(found.events.map(({ seq }) => seq)).toEqual(found.events.map((_, at) => at + 1))
})
const all = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`work${at + 1}`, { output: at }]))

describe('acts', () => {
  test('what the case gives comes after its time; without a time, at once', () => {
    const found = run(
      { a: work(), b: work({ after: ['a'], with: { was: '${{ steps.a.output.n }}' } }) },
      { results: { a: { output: { n: 3 }, after: 'PT90S' }, b: { output: 'b' } } },
      { output: { b: '${{ steps.b.output }}' } },
    )
    expect(found).toMatchObject({ status: 'SUCCEEDED', output: { b: 'b' }, endedAt: found.startedAt + 90_000 })
    expect(found.steps).toMatchObject([
      { path: 'a', output: { n: 3 } },
      { path: 'b', input: { was: 3 } },
    ])
  })

  test('a list has one result for each attempt, and the last stands for all further ones', () => {
    const retry = { attempts: 4, delay: 'PT10S', factor: 1, jitter: 0 }
    const results = {
      a: [{ error: { code: 'STEP_FAILED', message: 'no' } }, { error: { code: 'HANDLER_CRASHED' } }, { output: 1 }],
    }
    const found = run({ a: work({ retry }) }, { results })
    expect(found).toMatchObject({ status: 'SUCCEEDED', endedAt: found.startedAt + 20_000, steps: [{ attempt: 3 }] })
    const failed = run({ a: work({ retry }) }, { results: { a: [{ error: { code: 'STEP_FAILED', message: 'no' } }] } })
    expect(failed).toMatchObject({
      status: 'FAILED',
      error: { code: 'STEP_FAILED', message: 'no', step: 'a' },
      steps: [{ attempt: 4 }],
    })
  })

  test('what comes later than the timeout, or never, has timed out', () => {
    for (const result of [{ output: 1, after: 'PT11S' }, { never: true }]) {
      const found = run({ a: work({ timeout: 'PT10S', retry: { attempts: 1 } }) }, { results: { a: result } })
      expect(found).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT' }, endedAt: found.startedAt + 10_000 })
    }
  })

  test('what the case does not say is a problem that says what is missing', () => {
    const found = run({ a: work({ with: { n: 1 } }), b: work() }, { results: { b: { output: 1 } } })
    expect(found).toMatchObject({ status: 'RUNNING', problem: { code: 'MISSING_RESULT', path: 'a' } })
    expect(found.problem!.message).toContain('"a" (attempt 1), which was given {"n":1}')
    expect(run({ a: work() }, { results: { a: { answer: { decision: 'ANSWER' } } } }).problem).toMatchObject({
      code: 'WRONG_RESULT',
    })
  })

  test('a failure is answered for, and what succeeded is undone, as the engine does it', () => {
    const undone = run(
      {
        book: work({ compensate: { type: 'handler', handler: 'undo' } }),
        pay: work({ after: ['book'], retry: { attempts: 1 } }),
      },
      {
        results: {
          book: { output: 'seat' },
          pay: { error: { code: 'STEP_FAILED' } },
          'book.compensate': { output: null, after: 'PT1S' },
        },
      },
    )
    expect(undone).toMatchObject({ status: 'FAILED', endedAt: undone.startedAt + 1_000 })
    expect(typesOf(undone)).toContain('step.succeeded book.compensate')
  })
})

describe('what runs inside', () => {
  const each = {
    each: {
      type: 'map',
      over: '${{ input.list }}',
      parallel: 3,
      tolerate: 1,
      step: work({ with: { n: '${{ item }}' }, retry: { attempts: 1 } }),
    },
  }

  test('items get what their paths say, else what all get, and the map ends with their outputs', () => {
    const found = run(each, {
      input: { list: [1, 2, 3, 4] },
      results: {
        'each.items[2]': { error: { code: 'STEP_FAILED', message: 'no' } },
        'each.items[*]': { output: 'done', after: 'PT10S' },
      },
    })
    expect(found).toMatchObject({ status: 'SUCCEEDED', endedAt: found.startedAt + 10_000 })
    expect(found.steps.find(({ path }) => path === 'each')!.output).toEqual({
      ...{ items: ['done', 'done', null, 'done'], failed: [{ index: 2, code: 'STEP_FAILED', message: 'no' }] },
      counts: { total: 4, succeeded: 3, failed: 1, skipped: 0 },
    })
    expect(run(each, { input: { list: [1] }, results: { each: { output: 'by name' } } }).status).toBe('SUCCEEDED')
  })

  test('ten thousand items are no strain', () => {
    const list = Array.from({ length: 10_000 }, (_, at) => at)
    const began = performance.now()
    const found = run(each, { input: { list }, results: { each: { output: 1, after: 'PT1M' } } })
    expect(found.status).toBe('SUCCEEDED')
    expect(found.endedAt - found.startedAt).toBe(Math.ceil(10_000 / 3) * 60_000)
    expect(performance.now() - began).toBeLessThan(10_000)
  })

  test('iterations of a loop get what their paths say', () => {
    const steps = { poll: { type: 'loop', times: 5, until: 'last.done', delay: 'PT1M', step: work() } }
    const found = run(steps, { results: { 'poll[3]': { output: { done: true } }, poll: { output: { done: false } } } })
    expect(found).toMatchObject({ status: 'SUCCEEDED', endedAt: found.startedAt + 120_000 })
    expect(found.steps.find(({ path }) => path === 'poll')).toMatchObject({ output: { done: true } })
  })

  test('a flow that is called ends as the case says, and is told when its parent does not want it any more', () => {
    const call = { call: { type: 'flow', flow: 'other', input: { n: 1 }, timeout: 'P1D', retry: { attempts: 1 } } }
    const found = run(call, { results: { call: { output: { sum: 3 }, after: 'PT2H' } } })
    expect(found).toMatchObject({ status: 'SUCCEEDED', endedAt: found.startedAt + 7_200_000, steps: [{ output: { sum: 3 } }] })
    const failed = run(call, { results: { call: { error: { code: 'STEP_FAILED', message: 'no' } } } })
    expect(failed).toMatchObject({
      status: 'FAILED',
      error: { code: 'CHILD_FAILED', message: expect.stringContaining('STEP_FAILED: no') },
    })
    expect(run(call, { results: { call: { never: true } } })).toMatchObject({ status: 'FAILED', error: { code: 'TIMEOUT' } })
    const canceled = run(call, { results: { call: { output: 1, after: 'PT2H' } }, timeline: [{ at: 'PT1H', cancel: 'enough' }] })
    expect(canceled).toMatchObject({ status: 'CANCELED', endedAt: canceled.startedAt + 3_600_000 })
    expect(run(call).problem).toMatchObject({ code: 'MISSING_RESULT', path: 'call' })
  })

  test('a call to a service is given as what the step makes of it', () => {
    const steps = { get: { type: 'http', url: 'https://api.example.com/${{ input.id }}' } }
    const found = run(steps, {
      input: { id: 7 },
      results: { get: [{ error: { code: 'TIMEOUT' } }, { output: { status: 200, body: {} } }] },
    })
    expect(found).toMatchObject({ status: 'SUCCEEDED', steps: [{ attempt: 2, output: { status: 200 } }] })
    expect(run(steps, { input: { id: 7 } }).problem!.message).toContain('https://api.example.com/7')
  })
})

describe('those who are asked', () => {
  const ask = { ask: { type: 'agent', role: 'ceo', subject: 'May we?', request: { cost: 3 }, timeout: 'PT60S' } }

  test('answer when the case says so, and are the same person wherever they are named', () => {
    const twice = { ...ask, again: { ...ask.ask, after: ['ask'] } }
    const answer = { answer: { decision: 'APPROVE', data: { ok: true }, by: 'ann' }, after: 'PT30S' }
    const found = run(twice, { results: { ask: answer, again: answer } })
    expect(found).toMatchObject({ status: 'SUCCEEDED', endedAt: found.startedAt + 60_000 })
    const [first, second] = found.steps.map(({ output }) => output as { answeredBy: string })
    expect(first).toMatchObject({ decision: 'APPROVE', data: { ok: true } })
    expect(first!.answeredBy).toBe(second!.answeredBy)
    expect(found.asked).toMatchObject([{ path: 'ask', role: 'ceo', subject: 'May we?', body: { cost: 3 } }, { path: 'again' }])
  })

  test('are silent only when the case says that too', () => {
    expect(run(ask, { results: { ask: { never: true } } })).toMatchObject({ status: 'FAILED', error: { code: 'AGENT_TIMEOUT' } })
    expect(run(ask).problem).toMatchObject({ code: 'MISSING_RESULT', path: 'ask' })
  })

  test('vote, each for themselves, and whoever started it does not', () => {
    const steps = { sign: { type: 'approval', roles: ['USER'], subject: 'Publish?', data: {}, quorum: 2, timeout: 'P7D' } }
    const votes = (...names: string[]) => ({
      results: { sign: { votes: names.map((by, at) => ({ by, decision: 'APPROVE', after: `P${at}D` })) } },
    })
    const found = run(steps, votes('ann', 'bob'))
    expect(found).toMatchObject({ status: 'SUCCEEDED', endedAt: found.startedAt + 86_400_000 })
    expect(run(steps, votes('ann', 'ann', 'initiator'))).toMatchObject({ status: 'FAILED', error: { code: 'APPROVAL_TIMEOUT' } })
  })
})

describe('the timeline', () => {
  test('signals come at their times, also before a step waits for them', () => {
    const steps = {
      wait: { type: 'wait', duration: 'P2D' },
      paid: { type: 'signal', signals: ['paid'], after: ['wait'], timeout: 'P5D' },
    }
    const early = run(steps, { timeline: [{ at: 'P1D', signal: { name: 'paid', data: { amount: 3 }, from: 'shop' } }] })
    expect(early).toMatchObject({ status: 'SUCCEEDED', endedAt: early.startedAt + 2 * 86_400_000 })
    const late = run(steps, { timeline: [{ at: 'P8D', signal: { name: 'paid' } }] })
    expect(late).toMatchObject({ status: 'FAILED', error: { code: 'SIGNAL_TIMEOUT' }, endedAt: late.startedAt + 7 * 86_400_000 })
  })

  test('pausing stops the clock of waits, resuming lets what is due fire, canceling ends it', () => {
    const steps = { wait: { type: 'wait', duration: 'PT1H' } }
    const resumed = run(steps, {
      timeline: [
        { at: 'PT10M', pause: 'lunch' },
        { at: 'PT3H', resume: 'back' },
      ],
    })
    expect(resumed).toMatchObject({ status: 'SUCCEEDED', endedAt: resumed.startedAt + 3 * 3_600_000 })
    const canceled = run(
      { a: work({ timeout: 'PT1H' }) },
      { timeline: [{ at: 'PT10M', cancel: 'enough' }], results: { a: { output: 1, after: 'PT30M' } } },
    )
    expect(canceled).toMatchObject({ status: 'CANCELED', reason: 'enough', endedAt: canceled.startedAt + 600_000 })
    const forgotten = run(steps, { timeline: [{ at: 'PT10M', pause: 'lunch' }] }, { timeout: 'P1D' })
    expect(forgotten).toMatchObject({ status: 'TIMED_OUT', endedAt: forgotten.startedAt + 86_400_000 })
  })
})

test('a simulation that does not end is ended, and says so', () => {
  const steps = { a: work({ retry: { attempts: 10, delay: 'PT1S' } }) }
  const found = run(steps, { results: { a: { error: { code: 'STEP_FAILED' } } } }, {}, { ...LIMITS, transitions: 5 })
  expect(found).toMatchObject({ problem: { code: 'LIMIT', message: 'A simulation has at most 5 transitions.' } })
})

test('the same case always gives the same history; another seed only another jitter', () => {
  const retry = { attempts: 3, delay: 'PT10S', jitter: 0.5 }
  const given = fc.array(fc.boolean(), { minLength: 3, maxLength: 3 })
  fc.assert(
    fc.property(given, fc.string({ maxLength: 5 }), (fails, seed) => {
      const results = { a: fails.map((bad) => (bad ? { error: { code: 'STEP_FAILED' } } : { output: 1 })) }
      const once = run({ a: work({ retry }) }, { results, seed })
      expect(run({ a: work({ retry }) }, { results, seed })).toEqual(once)
      expect(typesOf(run({ a: work({ retry }) }, { results, seed: `${seed}!` }))).toEqual(typesOf(once))
    }),
    { numRuns: 30 },
  )
})

test('every mistake in a case is told at once, with its place', () => {
  const program = programOf(
    { charge: work() },
    { input: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } } },
  )
  const wrong = {
    results: { charge: [{ output: 1, never: true }, { error: { code: 'NONE' } }] },
    timeline: [{ at: 'tomorrow', signal: { name: 'x' } }, { at: 'P1D' }],
    inputs: {},
  }
  const read = readCase(wrong, program)
  expect('issues' in read && read.issues.map(({ path }) => path.join('.')).toSorted()).toEqual([
    ...['inputs', 'results.charge.0', 'results.charge.1.error.code', 'timeline.0.at', 'timeline.1'],
  ])
  const unknown = readCase({ input: { n: 'x' }, results: { chrage: { output: 1 } } }, program)
  expect('issues' in unknown && unknown.issues).toMatchObject([
    { path: ['results', 'chrage'], code: 'UNKNOWN_STEP', hint: expect.stringContaining('charge') },
    { path: ['input', 'n'] },
  ])
})

test('a simulation counts what its attempts cost, never more than the worst case says', () => {
  const steps = {
    first: work({ cost: 5, retry: { attempts: 3, delay: 'PT1S' } }),
    each: { type: 'map', over: '${{ input.list }}', step: work({ cost: 2 }), after: ['first'] },
    ask: { type: 'agent', role: 'ceo', subject: 'x', request: {}, cost: 100, after: ['each'] },
  }
  const input = { type: 'object', properties: { list: { type: 'array', maxItems: 5 } } }
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 5 }), fc.integer({ min: 0, max: 2 }), (items, faults) => {
      const first = [...Array.from({ length: faults }, () => ({ error: { code: 'HTTP_NETWORK' } })), { output: 1 }]
      const results = { first, each: { output: 1 }, ask: { answer: { decision: 'APPROVE' } } }
      const found = run(steps, { results, input: { list: Array.from({ length: items }, () => 1) } }, { input })
      expect(found).toMatchObject({ status: 'SUCCEEDED', cost: 5 * (faults + 1) + 2 * items + 100 })
      const { worstCase } = validateDefinition(
        { name: 'flow', steps, input },
        { roles: new Set(DEFAULT_ROLES), handlers: new Set(['work']) },
      )
      expect(worstCase!.cost).toBeGreaterThanOrEqual(found.cost)
    }),
    { numRuns: 20 },
  )
})

describe('steps inside of maps and loops have conditions and go on after failures', () => {
  const input = { list: [1, 2, 3, 4, 5] }
  const failed = { error: { code: 'STEP_FAILED', message: 'no' } }

  test('an item whose condition is false is skipped, and needs no result', () => {
    const steps = { each: { type: 'map', over: '${{ input.list }}', step: work({ when: 'item % 2 == 1 && index < 4' }) } }
    const found = run(steps, { input, results: { each: { output: 'done' } } })
    expect(found.steps.at(-1)!.output).toEqual({
      items: ['done', null, 'done', null, null],
      failed: [],
      counts: { total: 5, succeeded: 2, failed: 0, skipped: 3 },
    })
  })

  test('items that let the map go on are all tolerated, and told', () => {
    const steps = { each: { type: 'map', over: '${{ input.list }}', step: work({ onError: 'continue' }) } }
    const found = run(steps, { input, results: { each: failed, 'each.items[2]': { output: 7 } } })
    expect(found).toMatchObject({ status: 'SUCCEEDED' })
    expect(found.steps.at(-1)!.output).toMatchObject({
      items: [null, null, 7, null, null],
      failed: [{ index: 0, code: 'STEP_FAILED', message: 'no' }, { index: 1 }, { index: 3 }, { index: 4 }],
      counts: { total: 5, succeeded: 1, failed: 4, skipped: 0 },
    })
  })

  test('a loop goes on after iterations that failed or were skipped, with the last output that there was', () => {
    const step = work({ when: 'iteration != 3', onError: 'continue', with: { last: '${{ last }}' } })
    const steps = { poll: { type: 'loop', times: 5, until: 'last == "b"', step } }
    const results = { 'poll[1]': { output: 'a' }, 'poll[2]': failed, 'poll[4]': failed, 'poll[5]': { output: 'b' } }
    const found = run(steps, { results })
    expect(found).toMatchObject({ status: 'SUCCEEDED' })
    expect(found.steps.map(({ path, status, input }) => [path, status, input])).toEqual([
      ['poll[1]', 'SUCCEEDED', { last: null }],
      ['poll[2]', 'FAILED', { last: 'a' }],
      ['poll[3]', 'SKIPPED', undefined],
      ['poll[4]', 'FAILED', { last: 'a' }],
      ['poll[5]', 'SUCCEEDED', { last: 'a' }],
      ['poll', 'SUCCEEDED', { total: 5, succeeded: 2, failed: 2, skipped: 1 }],
    ])
    expect(found.steps.at(-1)!.output).toBe('b')
    const none = run(
      { poll: { type: 'loop', times: 700, step: work({ when: 'false' }) } },
      {},
      { output: { last: '${{ steps.poll.output }}' } },
    )
    expect(none).toMatchObject({ status: 'SUCCEEDED', output: { last: null } })
  })

  test('where it leads elsewhere, or has an order, it is refused', () => {
    const inner = work({ onError: { goto: 'other' }, after: ['other'] })
    const { issues } = validateDefinition(
      { name: 'flow', steps: { each: { type: 'map', over: [1], step: inner }, other: work() } },
      { roles: new Set(), handlers: new Set(['work']) },
    )
    expect(issues.map(({ path }) => path.join('.'))).toEqual(['steps.each.step.after', 'steps.each.step.onError'])
  })
})

describe('flows that steps call are simulated too, when the case has them', () => {
  const inner = {
    name: 'inner',
    input: { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } },
    steps: { nap: { type: 'wait', duration: 'PT1H' }, work: work({ after: ['nap'], cost: 3 }) },
    output: { twice: '${{ input.n * 2 }}', work: '${{ steps.work.output }}' },
  }
  const allow = { roles: new Set(DEFAULT_ROLES), handlers: new Set(['work']) }
  function runWith(steps: object, given: object, limits = LIMITS): Simulation {
    const program = programOf(steps)
    const read = readCase(given, program, (definition) => compile(definition, allow))
    if (!('case' in read)) throw new Error(JSON.stringify(read.issues))
    return simulate(program, read.case, limits)
  }
  const call = (more: object = {}) => ({ type: 'flow', flow: 'inner', ...more })

  test('with what they are given, for as long as they take, at what they cost', () => {
    const flows = { inner: { definition: inner, results: { work: { output: 'ok' } } } }
    const steps = {
      each: { type: 'map', over: [1, 2], parallel: 1, step: call({ input: { n: '${{ item }}' } }) },
      given: call({ after: ['each'], input: { n: 3 } }),
    }
    const found = runWith(steps, { flows, results: { given: { output: { twice: 0 } } } })
    expect(found).toMatchObject({ status: 'SUCCEEDED', cost: 6 })
    expect(found.endedAt - found.startedAt).toBe(2 * 3_600_000)
    expect(found.steps.find(({ path }) => path === 'each')!.output).toMatchObject({
      items: [
        { twice: 2, work: 'ok' },
        { twice: 4, work: 'ok' },
      ],
    })
    expect(found.steps.at(-1)!.output).toEqual({ twice: 0 })
  })

  test('they fail, run out of time, and are given what does not fit, as they would', () => {
    const flows = (result: object) => ({ inner: { definition: inner, results: { work: result } } })
    const failed = runWith({ a: call({ input: { n: 1 } }) }, { flows: flows({ error: { code: 'STEP_FAILED', message: 'no' } }) })
    expect(failed.error).toMatchObject({ code: 'CHILD_FAILED', message: expect.stringContaining('STEP_FAILED: no') })
    const late = runWith({ a: call({ input: { n: 1 }, timeout: 'PT10M' }) }, { flows: flows({ output: 1 }) })
    expect(late).toMatchObject({ error: { code: 'TIMEOUT' }, endedAt: late.startedAt + 600_000 })
    expect(runWith({ a: call() }, { flows: flows({ output: 1 }) }).error).toMatchObject({ code: 'INVALID_INPUT' })
    const unsaid = runWith({ a: call({ input: { n: 1 } }) }, { flows: { inner: { definition: inner } } })
    expect(unsaid.problem).toMatchObject({ code: 'MISSING_RESULT', path: 'a > work' })
  })

  test('one that calls itself ends, and all of them share one limit', () => {
    const again = { name: 'inner', steps: { again: call() } }
    expect(runWith({ a: call() }, { flows: { inner: { definition: again } } }).problem).toMatchObject({ code: 'LIMIT' })
    const flows = { inner: { definition: inner, results: { work: { output: 1 } } } }
    const many = { each: { type: 'map', over: Array.from({ length: 100 }, () => 1), step: call({ input: { n: 1 } }) } }
    expect(runWith(many, { flows }, { ...LIMITS, transitions: 50 }).problem).toMatchObject({ code: 'LIMIT' })
  })

  test('mistakes in them are told with their paths', () => {
    const flows = {
      inner: { definition: { ...inner, stepps: {} } },
      other: { definition: inner, results: { wrok: { output: 1 } } },
    }
    const read = readCase({ flows }, programOf({ a: call() }), (definition) => compile(definition, allow))
    expect('issues' in read && read.issues.map(({ path }) => path.join('.'))).toEqual([
      'flows.inner.definition.stepps',
      'flows.other.results.wrok',
    ])
  })
})
