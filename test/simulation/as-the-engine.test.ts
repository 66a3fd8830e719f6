/** A simulation tells the history that an execution has: the same flows, run by the engine on a database and simulated, step by step. */
import { expect, test } from 'vitest'
import { compile } from '../../src/language/compile.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { readCase } from '../../src/simulation/case.ts'
import { simulate } from '../../src/simulation/simulate.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()

/** By step run: what each attempt gives; an error's text stands for a failure. */
const GIVEN: Record<string, readonly unknown[]> = {
  flaky: [new Error('first'), new Error('second'), { n: 3 }],
  each: [{ done: true }],
  'each.items[1]': [new Error('not this one')],
  poll: [{ ready: false }],
  'poll[3]': [{ ready: true }],
  book: ['seat'],
  'book.compensate': [null],
  pay: [new Error('declined')],
}
const givenTo = (path: string): readonly unknown[] => GIVEN[path] ?? GIVEN[stepOf(path)]!
const stepOf = (path: string): string => path.split(/[.[]/, 1)[0]!

const engine = await testEngine(database, {
  handlers: {
    work(_input, { path, attempt }) {
      const given = givenTo(path)
      const result = given[Math.min(attempt, given.length) - 1]
      if (result instanceof Error) throw result
      return result
    },
  },
})

const work = (more: object = {}) => ({ type: 'handler', handler: 'work', retry: { attempts: 1 }, ...more })
const soon = { delay: 'PT0.01S', factor: 1, jitter: 0 }

const FLOWS: Record<string, object> = {
  'retries, routes and conditions': {
    flaky: work({ retry: { attempts: 3, ...soon } }),
    pick: { type: 'route', after: ['flaky'], cases: [{ when: 'steps.flaky.output.n > 2', to: 'many' }], otherwise: 'few' },
    many: { type: 'transform', on: 'pick:many', set: { n: '${{ steps.flaky.output.n }}' } },
    few: { type: 'transform', on: 'pick:few', set: {} },
    never: { type: 'transform', after: ['many'], when: 'steps.many.output.n > 100', set: {} },
    rest: { type: 'wait', after: ['many'], duration: 'PT0.02S' },
    tell: { type: 'notify', after: ['rest'], roles: ['ceo'], subject: 'Done', message: {} },
  },
  'a map that tolerates a failure, and a loop': {
    each: { type: 'map', over: ['a', 'b', 'c'], parallel: 1, tolerate: 1, step: work({ with: { item: '${{ item }}' } }) },
    poll: { type: 'loop', after: ['each'], times: 5, until: 'last.ready', delay: 'PT0.01S', step: work() },
  },
  'a failure, and what is undone then': {
    book: work({ compensate: { type: 'handler', handler: 'work' } }),
    pay: work({ after: ['book'] }),
  },
  'a failure that another step answers for': {
    pay: work({ onError: { goto: 'instead' } }),
    instead: { type: 'transform', set: { why: '${{ steps.pay.error.message }}' } },
  },
}

test.each(Object.entries(FLOWS))('%s: the history is the same', async (name, steps) => {
  const definition = { name, steps }
  const id = await startFlow(engine, await storeFlow(database, definition))
  await engine.ended(id, 20_000)
  const real = await readExecution(database, id)

  const made = compile(definition, { roles: new Set(DEFAULT_ROLES), handlers: new Set(['work']), sources: new Set() })
  if ('issues' in made) throw new Error(JSON.stringify(made.issues))
  const results = Object.entries(GIVEN)
    .filter(([path]) => Object.hasOwn(steps, stepOf(path)))
    .map(([path, given]) => [path, given.map(asResult)])
  const read = readCase({ results: Object.fromEntries(results) as object }, made.program)
  if (!('case' in read)) throw new Error(JSON.stringify(read.issues))
  const simulated = simulate(made.program, read.case, { transitions: 1_000, events: 1_000, work: 1e8 })

  expect(simulated.problem).toBeUndefined()
  expect(simulated.events.map(({ type, path }) => [type, path ?? null])).toEqual(
    real.events.map(({ type, path }) => [type, path]),
  )
  expect([simulated.status, simulated.reason]).toEqual([real.status, real.reason])
  const ended = simulated.steps.map(({ path, status, attempt, output, error, route }) => ({
    ...{ path, status, attempt, output: output ?? null, error: error ?? null, route: route ?? null },
  }))
  expect(ended.toSorted((a, b) => (a.path < b.path ? -1 : 1))).toEqual(real.steps.toSorted((a, b) => (a.path < b.path ? -1 : 1)))
})

const asResult = (given: unknown): object =>
  given instanceof Error ? { error: { code: 'STEP_FAILED', message: given.message } } : { output: given }
