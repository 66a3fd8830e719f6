import { expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import type { Json } from '../../src/language/values.ts'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
let running = 0
let most = 0
const engine = await testEngine(database, {
  // a machine under load may not renew a short one in time, and suspects cannot run outside of this process
  leaseMs: 30_000,
  handlers: {
    double: async (input) => {
      most = Math.max(most, ++running)
      await new Promise((resolve) => setImmediate(resolve))
      running--
      const { n } = input as { n: number }
      if (n < 0) throw new Error('negative')
      return { doubled: n * 2 }
    },
  },
})

const numbers = (count: number): number[] => Array.from({ length: count }, (_, n) => n)

async function run(steps: object, input: Record<string, Json> = {}, output?: object) {
  const flow = await storeFlow(database, { name: `map ${Math.random()}`, steps, ...(output && { output }) })
  const id = await startFlow(engine, flow, input)
  await engine.ended(id, 60_000)
  return readExecution(database, id)
}

test('a map runs its step for each item, so many at once, and keeps their order (D9)', async () => {
  const step = { type: 'handler', handler: 'double', with: { n: '${{ item }}', at: '${{ index }}' } }
  const ended = await run(
    { all: { type: 'map', over: '${{ input.numbers }}', parallel: 4, step } },
    { numbers: numbers(25) },
    { list: '${{ steps.all.output.items.map(x, x.doubled) }}' },
  )
  expect(ended).toMatchObject({ status: 'SUCCEEDED', output: { list: numbers(25).map((n) => n * 2) } })
  expect(most).toBe(4)
  expect(ended.steps.filter(({ path }) => path.startsWith('all.items['))).toHaveLength(25)
  expect(ended.events.map(({ type }) => type)).not.toContain('step.late')
})

test('an item that fails is tried again; one too many fails the map, and what was under way is canceled', async () => {
  const retry = { attempts: 2, delay: 'PT0.01S' }
  const step = { type: 'handler', handler: 'double', with: { n: '${{ item }}' }, retry }
  const map = { type: 'map', over: [1, -1, 2, -3, 3], parallel: 1, step }
  const failed = await run({ all: { ...map, tolerate: 1 } })
  expect(failed).toMatchObject({ status: 'FAILED', error: { code: 'ITEM_FAILED', step: 'all' } })
  expect(failed.error!.message).toBe('2 of 5 items failed. STEP_FAILED: all.items[3]: negative')
  expect(failed.events.filter(({ type }) => type === 'step.retrying').map(({ path }) => path)).toEqual([
    'all.items[1]',
    'all.items[3]',
  ])
  const tolerated = await run({ all: { ...map, tolerate: '40%' } }, {}, { all: '${{ steps.all.output }}' })
  expect(tolerated.output).toEqual({
    all: {
      items: [{ doubled: 2 }, null, { doubled: 4 }, null, { doubled: 6 }],
      failed: [1, 3].map((index) => ({ index, code: 'STEP_FAILED', message: 'negative' })),
      counts: { total: 5, succeeded: 3, failed: 2, skipped: 0 },
    },
  })
})

test('items may be skipped by a condition, and let the map go on when they fail', async () => {
  const step = { type: 'handler', handler: 'double', with: { n: '${{ item }}' }, when: 'index != 2', onError: 'continue' }
  const ended = await run({ all: { type: 'map', over: [1, -1, 2, -3], step } }, {}, { all: '${{ steps.all.output }}' })
  expect(ended.output).toEqual({
    all: {
      items: [{ doubled: 2 }, null, null, null],
      failed: [1, 3].map((index) => ({ index, code: 'STEP_FAILED', message: 'negative' })),
      counts: { total: 4, succeeded: 1, failed: 2, skipped: 1 },
    },
  })
})

test('a list that is empty makes an empty output; what is no list fails', async () => {
  const step = { type: 'transform', set: {} }
  const empty = await run({ all: { type: 'map', over: [], step } }, {}, { all: '${{ steps.all.output.items }}' })
  expect(empty).toMatchObject({ status: 'SUCCEEDED', output: { all: [] } })
  const none = await run({ all: { type: 'map', over: '${{ input.list }}', step } }, { list: 3 })
  expect(none.error).toEqual({ code: 'EXPRESSION_FAILED', message: 'over: it is not a list', step: 'all' })
})

test('a loop runs until its condition holds, sees its last output, and keeps only that', async () => {
  const step = { type: 'transform', set: { n: '${{ last == null ? 1 : last.n * 2 }}', i: '${{ iteration }}' } }
  const ended = await run(
    { grow: { type: 'loop', until: 'last.n >= 100', times: 20, step } },
    {},
    { grown: '${{ steps.grow.output }}' },
  )
  expect(ended).toMatchObject({ status: 'SUCCEEDED', output: { grown: { n: 128, i: 8 } } })
  expect(ended.steps.map(({ path }) => path).toSorted()).toContain('grow[8]')
  const [row] = await database.query<{ state_bytes: number }>(
    'select state_bytes from sluice.executions order by id desc limit 1',
  )
  expect(row!.state_bytes).toBe('{}'.length + '{"n":128,"i":8}'.length)
})

test('a loop that is not done after all its times fails; with while, or without a condition, it ends', async () => {
  const step = { type: 'transform', set: { i: '${{ iteration }}' } }
  const endless = await run({ a: { type: 'loop', until: 'false', times: 3, step } })
  expect(endless.error).toMatchObject({ code: 'LOOP_EXHAUSTED', step: 'a' })
  const output = { a: '${{ steps.a.output.i }}', b: '${{ steps.b.output.i }}' }
  const a = { type: 'loop', while: 'last.i < 2', times: 5, delay: 'PT0.01S', step }
  expect((await run({ a, b: { type: 'loop', times: 4, step } }, {}, output)).output).toEqual({ a: 2, b: 4 })
})

test('a loop of a map, a map of loops: each step run has its path', async () => {
  const leaf = { type: 'transform', set: { n: '${{ item * 10 }}' } }
  const pages = { type: 'loop', times: 2, step: { type: 'map', over: [1, 2], step: leaf } }
  const each = { type: 'map', over: [1, 2], step: { type: 'loop', times: 2, step: leaf } }
  const ended = await run(
    { pages, each },
    {},
    { pages: '${{ steps.pages.output.items }}', each: '${{ steps.each.output.items }}' },
  )
  expect(ended).toMatchObject({ status: 'SUCCEEDED', output: { pages: [{ n: 10 }, { n: 20 }], each: [{ n: 10 }, { n: 20 }] } })
  const paths = ended.steps.map(({ path }) => path)
  for (const path of ['pages[1].items[0]', 'pages[2].items[1]', 'pages[2]', 'each.items[1][2]', 'each.items[1]', 'each'])
    expect(paths).toContain(path)
})

test.each([
  ['of instant steps', { type: 'transform', set: { n: '${{ item * 2 }}' } }],
  ['of handlers', { type: 'handler', handler: 'double', with: { n: '${{ item }}' } }],
])(
  'a map of 10,000 items %s finishes, with a history that can be read (D9)',
  async (_case, step) => {
    const begun = performance.now()
    const ended = await run(
      { all: { type: 'map', over: '${{ input.numbers }}', parallel: 50, step } },
      { numbers: numbers(10_000) },
      { size: '${{ size(steps.all.output.items) }}', counts: '${{ steps.all.output.counts }}' },
    )
    const counts = { total: 10_000, succeeded: 10_000, failed: 0, skipped: 0 }
    expect(ended).toMatchObject({ status: 'SUCCEEDED', output: { size: 10_000, counts } })
    expect(ended.steps).toHaveLength(10_001)
    expect(ended.events.length).toBeLessThan(40)
    console.log(`${Math.round(performance.now() - begun)} ms, ${ended.version} transitions, ${ended.events.length} events`)
  },
  60_000,
)

test('maps in maps have no more under way than one execution may, and all of them come to their end', async () => {
  const leaf = { type: 'handler', handler: 'double', with: { n: '${{ item }}' } }
  const inner = { type: 'map', over: numbers(15), parallel: 100, step: leaf }
  most = 0
  const ended = await run({ all: { type: 'map', over: numbers(100), parallel: 100, step: inner } })
  expect(ended).toMatchObject({ status: 'SUCCEEDED', error: null })
  expect(ended.steps).toHaveLength(1 + 100 + 1500)
  expect(most).toBeGreaterThan(100)
  expect(most).toBeLessThanOrEqual(1000)
}, 60_000)

test('items may ask: each answer is one item, a cancel closes what is still open and leaves what was answered (A10)', async () => {
  const step = { type: 'agent', role: 'ceo', subject: 'No. ${{ index }}', request: { item: '${{ item }}' } }
  const flow = await storeFlow(database, {
    name: 'asking',
    steps: { all: { type: 'map', over: ['a', 'b', 'c'], parallel: 2, step } },
  })
  const id = await startFlow(engine, flow)
  const open = () =>
    database.query<{ id: string; path: string; subject: string }>(
      `select id, path, subject from sluice.agent_requests where execution_id = $1 and status = 'OPEN' order by path`,
      [id],
    )
  const [first, second] = await open()
  expect([first!.subject, second!.subject]).toEqual(['No. 0', 'No. 1'])
  const order = { executionId: id, decision: 'APPROVE', data: 1, answeredBy: newUuid() } as const
  await engine.answer({ ...order, requestId: first!.id })
  expect((await open()).map(({ path }) => path)).toEqual(['all.items[1]', 'all.items[2]'])
  await engine.cancel({ executionId: id, reason: 'enough' })
  const ended = await readExecution(database, id)
  expect(ended.status).toBe('CANCELED')
  expect(await open()).toEqual([])
  expect(Object.fromEntries(ended.steps.map(({ path, status }) => [path, status]))).toEqual({
    ...{ all: 'CANCELED', 'all.items[0]': 'SUCCEEDED', 'all.items[1]': 'CANCELED', 'all.items[2]': 'CANCELED' },
  })
})
