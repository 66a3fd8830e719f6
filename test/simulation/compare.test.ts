/** What a case expects against what came of it: every difference has its place and says both sides. */
import { expect, test } from 'vitest'
import { compile } from '../../src/language/compile.ts'
import { readCase } from '../../src/simulation/case.ts'
import type { Expectation } from '../../src/simulation/case.ts'
import { compare } from '../../src/simulation/compare.ts'
import { simulate } from '../../src/simulation/simulate.ts'

const made = compile(
  {
    name: 'flow',
    steps: {
      pick: { type: 'route', cases: [{ when: 'input.n > 1', to: 'many' }], otherwise: 'one' },
      many: { type: 'transform', on: 'pick:many', set: { list: [1, 2, '${{ input.n }}'], deep: { a: 1 } } },
      rest: { type: 'wait', after: ['many'], duration: 'PT5S' },
    },
    output: { made: '${{ steps.many.output }}' },
  },
  { roles: new Set(), handlers: new Set() },
)
if ('issues' in made) throw new Error(JSON.stringify(made.issues))
const { program } = made
const found = simulate(program, { input: { n: 3 } }, { transitions: 100, events: 100, work: 1e9 })

/** As it is written in a case. */
function differences(expected: object): string[] {
  const read = readCase({ expect: expected }, program)
  if (!('case' in read)) throw new Error(JSON.stringify(read.issues))
  return compare(read.case.expect as Expectation, found).map(({ path, message }) => `${path.join('.')}: ${message}`)
}

test('what is as expected differs in nothing, and what is not asked does not matter', () => {
  expect(differences({})).toEqual([])
  expect(
    differences({
      ...{
        status: 'SUCCEEDED',
        output: { made: { list: [1, 2, 3], deep: { a: 1 } } },
        error: null,
        reason: null,
        duration: 'PT5S',
        maxCost: 0,
      },
      steps: { pick: { route: 'many' }, many: { status: 'SUCCEEDED', attempt: 1, output: { list: [1, 2, 3], deep: { a: 1 } } } },
      events: ['execution.started', 'step.succeeded', 'route.taken pick', 'step.succeeded rest'],
      noEvents: ['step.failed', 'step.skipped many'],
    }),
  ).toEqual([])
})

test('each difference names its place and both sides', () => {
  expect(
    differences({
      ...{ status: 'FAILED', output: { made: { list: [1, 3], deep: { b: 1 } } }, duration: 'PT1M', error: { code: 'TIMEOUT' } },
      steps: { pick: { route: 'one' }, gone: { status: 'SUCCEEDED' } },
    }).toSorted(),
  ).toEqual([
    'duration: expected PT1M, it took PT5S',
    'error: expected {"code":"TIMEOUT"}, found null',
    'output.made.deep.a: found 1, which is not expected',
    'output.made.deep.b: expected 1, it is not there',
    'output.made.list.1: expected 3, found 2',
    'output.made.list: expected 2 items, found 3',
    'status: expected "FAILED", found "SUCCEEDED"',
    'steps.gone: it did not end',
    'steps.pick.route: expected "one", found "many"',
  ])
})

test('events are expected in an order, and some not at all', () => {
  expect(differences({ events: ['step.succeeded rest', 'step.succeeded many'], noEvents: ['route.taken'] })).toEqual([
    expect.stringMatching(
      /^events\.1: expected "step\.succeeded many": it did not happen after "step\.succeeded rest" \(event \d+\)$/,
    ),
    expect.stringMatching(/^noEvents\.0: "route\.taken" happened \(event \d+\)$/),
  ])
})
