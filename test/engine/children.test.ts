import { expect, test } from 'vitest'
import { readExecution, startFlow, storeFlow, testEngine } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const engine = await testEngine(database)

const wait = (duration: string) => ({ type: 'wait', duration })
await storeFlow(database, {
  name: 'triple',
  input: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] },
  steps: { a: { type: 'transform', set: { n: '${{ input.n * 3 }}' } } },
  output: { n: '${{ steps.a.output.n }}' },
})
await storeFlow(database, { name: 'slow', steps: { a: wait('PT1H') } })
await storeFlow(database, { name: 'broken', steps: { a: { type: 'fail', message: 'no luck', code: 'NO_LUCK' } } })

async function start(steps: object, output?: object): Promise<string> {
  return startFlow(engine, await storeFlow(database, { name: `parent ${Math.random()}`, steps, ...(output && { output }) }))
}

async function run(steps: object, output?: object) {
  const id = await start(steps, output)
  await engine.ended(id, 20_000)
  return { id, ...(await readExecution(database, id)) }
}

const childrenOf = (id: string) =>
  database.query<{ id: string; status: string; reason: string | null }>(
    'select id, status, reason from sluice.executions where parent_id = $1 order by id',
    [id],
  )

async function until<T>(what: () => Promise<T | undefined>): Promise<T> {
  for (;;) {
    const found = await what()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

test('a flow step runs another flow as an execution of its own, whose output is its own', async () => {
  const ended = await run({ a: { type: 'flow', flow: 'triple', input: { n: 14 } } }, { n: '${{ steps.a.output.n }}' })
  expect(ended).toMatchObject({ status: 'SUCCEEDED', output: { n: 42 } })
  expect(await childrenOf(ended.id)).toMatchObject([{ status: 'SUCCEEDED' }])
  expect(ended.events.map(({ type }) => type)).toContain('child.started')
  expect(await database.query('select key from sluice.inbox')).toEqual([])
})

test('a child that fails, an input that does not fit and a flow that is not there fail the step', async () => {
  const broken = await run({ a: { type: 'flow', flow: 'broken' } })
  expect(broken.error).toMatchObject({ code: 'CHILD_FAILED', step: 'a' })
  expect(broken.error!.message).toMatch(/^exec_\w{26} ended as FAILED\. NO_LUCK: no luck$/)
  const unfit = await run({ a: { type: 'flow', flow: 'triple', input: { n: 'x' } } })
  expect(unfit.error).toMatchObject({ code: 'INVALID_INPUT', step: 'a' })
  const nowhere = await run({ a: { type: 'flow', flow: 'nowhere' } })
  expect(nowhere.error).toMatchObject({ code: 'FLOW_NOT_FOUND', step: 'a' })
})

test('a parent waits without being held; canceling it cancels its child, and it ends after it (A10)', async () => {
  const id = await start({ a: { type: 'flow', flow: 'slow' } })
  await until(async () => {
    const [row] = await database.query<{ status: string; owner: string | null }>(
      'select status, owner from sluice.executions where id = $1',
      [id],
    )
    return row!.status === 'WAITING' && row!.owner === null ? row : undefined
  })
  await engine.cancel({ executionId: id, reason: 'enough' })
  await engine.ended(id, 5000)
  expect(await readExecution(database, id)).toMatchObject({ status: 'CANCELED', reason: 'enough' })
  expect(await childrenOf(id)).toMatchObject([{ status: 'CANCELED', reason: 'enough' }])
})

test('a parent that fails, and a step that times out, leave no child behind', async () => {
  const failed = await run({ a: { type: 'flow', flow: 'slow' }, b: { type: 'flow', flow: 'broken' } })
  expect(failed.status).toBe('FAILED')
  const late = await run({ a: { type: 'flow', flow: 'slow', timeout: 'PT0.2S' } })
  expect(late.error).toMatchObject({ code: 'TIMEOUT', step: 'a' })
  for (const { id } of [failed, late]) {
    await until(async () =>
      (await childrenOf(id)).every(({ status }) => status !== 'WAITING' && status !== 'RUNNING') ? true : undefined,
    )
    expect((await childrenOf(id)).map(({ status }) => status)).toContain('CANCELED')
  }
})

test('a map of flows: one child for each item, never more at once than it says', async () => {
  const step = { type: 'flow', flow: 'triple', input: { n: '${{ item }}' } }
  const over = Array.from({ length: 40 }, (_, n) => n)
  const ended = await run({ all: { type: 'map', over, parallel: 7, step } }, { all: '${{ steps.all.output.items.map(x, x.n) }}' })
  expect(ended).toMatchObject({ status: 'SUCCEEDED', output: { all: over.map((n) => n * 3) } })
  expect(await childrenOf(ended.id)).toHaveLength(40)
})

test('flows that call each other end at the limit of depth', async () => {
  await storeFlow(database, { name: 'self', steps: { a: { type: 'flow', flow: 'self' } } })
  const ended = await run({ a: { type: 'flow', flow: 'self' } })
  expect(ended.error).toMatchObject({ code: 'CHILD_FAILED' })
  const [row] = await database.query<{ count: number }>(`select count(*)::integer as count from sluice.executions e
    join sluice.flows f on f.id = e.flow_id where f.name = 'self'`)
  expect(row!.count).toBe(9)
})

test('a parent that is paused notes the end of its child, and goes on when it is resumed (A16)', async () => {
  await storeFlow(database, { name: 'short', steps: { a: wait('PT0.3S') } })
  const id = await start({ a: { type: 'flow', flow: 'short' }, b: { type: 'transform', after: ['a'], set: { n: 1 } } })
  await until(async () => ((await childrenOf(id)).length > 0 ? true : undefined))
  await engine.pause({ executionId: id, reason: 'a moment' })
  await until(async () => ((await childrenOf(id))[0]!.status === 'SUCCEEDED' ? true : undefined))
  await until(async () => ((await readExecution(database, id)).steps.some(({ path }) => path === 'a') ? true : undefined))
  expect((await readExecution(database, id)).status).toBe('PAUSED')
  await engine.resume({ executionId: id })
  await engine.ended(id, 5000)
  expect((await readExecution(database, id)).steps.map(({ path, status }) => [path, status])).toEqual([
    ['a', 'SUCCEEDED'],
    ['b', 'SUCCEEDED'],
  ])
})
