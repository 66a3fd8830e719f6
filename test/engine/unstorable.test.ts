import { expect, test, vi } from 'vitest'
import { readExecution, startFlow, startOrder, storeFlow, testEngine } from '../harness/engine.ts'
import { broken, isCommit } from '../harness/intercept-queries.ts'
import { breaches } from '../harness/invariants.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const one = await storeFlow(database, { name: 'one', steps: { a: { type: 'handler', handler: 'gated' } } })

test.each(['22P05', '23514', '54000'])(
  'a row that PostgreSQL refuses with %s fails its own execution, and the others of its batch are stored (A3)',
  async (code) => {
    const steered = await steeredEngine(database)
    const ids = await Promise.all(Array.from({ length: 20 }, () => startFlow(steered.engine, one)))
    await steered.run(20)
    let largest = 0
    let refusals = 0
    steered.intercept = async (text, send, params) => {
      if (!isCommit(text)) return send()
      const rows = params.filter((param) => Buffer.isBuffer(param))
      largest = Math.max(largest, ...rows.map((array) => array.readInt32BE(12)))
      if (!rows.some((array) => array.includes('poison'))) return send()
      refusals += 1
      throw broken(code)
    }
    const culprit = steered.runs[7]!.executionId
    for (const { executionId, open } of steered.runs) open({ is: executionId === culprit ? 'poison' : 'fine' })
    await vi.waitFor(async () => {
      const left = await database.query('select id from sluice.executions where ended_at is null')
      expect(left).toEqual([])
    })
    expect(largest, 'they came as one batch').toBeGreaterThan(10)
    expect(refusals).toBeGreaterThan(1)
    for (const id of ids) {
      const execution = await readExecution(database, id)
      if (id !== culprit) expect(execution).toMatchObject({ status: 'SUCCEEDED', steps: [{ output: { is: 'fine' } }] })
      else expect(execution).toMatchObject({ status: 'FAILED', error: { code: 'UNSTORABLE_OUTPUT', step: 'a' } })
    }
    expect(await breaches(database)).toEqual([])
  },
)

test('what cannot be stored in any form is given up: its caller is told, and nothing is tried for ever', async () => {
  const steered = await steeredEngine(database)
  let commits = 0
  steered.intercept = (text, send) => {
    commits += isCommit(text) ? 1 : 0
    return send()
  }
  // beyond what the column takes; the rooms above let no such thing through
  const order = await startOrder(steered.engine, one, {}, { priority: 100_000 })
  await expect(steered.engine.start(order)).rejects.toThrow('cannot be stored')
  expect(commits).toBeLessThan(5)
  expect(await database.query('select 1 from sluice.executions where initiator_id = $1', [order.initiatorId])).toEqual([])
})

test('a flow that never can be started for a failure is given up in the end, and holds up no other', async () => {
  const steered = await steeredEngine(database, { chooseChild: () => Promise.reject(new Error('broken')) })
  const steps = { a: { type: 'fail', message: 'no' } }
  const breaks = await storeFlow(database, { name: 'breaks', onFailure: { flow: 'tell' }, steps })
  const ids = [await startFlow(steered.engine, breaks), await startFlow(steered.engine, breaks)]
  const tried = async (tries: number) => {
    await database.query('update sluice.failures set tries = $1, next_at = now()', [tries])
    await steered.engine.failures.runOnce()
    return database.query('select refused from sluice.failures where execution_id = any($1) and refused is not null', [ids])
  }
  await vi.waitFor(async () => expect(await database.query('select from sluice.failures')).toHaveLength(2))
  expect(await tried(10)).toEqual([])
  await vi.waitFor(async () =>
    expect(await tried(500)).toEqual([{ refused: 'It could not be started.' }, { refused: 'It could not be started.' }]),
  )
})

test('a message that is cut in the middle of a character, or has what PostgreSQL stores nowhere, is told as far as it can be (A3)', async () => {
  let tries = 0
  const message = `${'x'.repeat(299)}\u{1F600} and \0 more`
  const engine = await testEngine(database, {
    handlers: {
      thrower: () => {
        tries += 1
        throw new Error(message)
      },
    },
  })
  const asks = { type: 'agent', role: 'ceo', subject: "${{ 'a\\u0000b' }}", request: {} }
  const flow = await storeFlow(database, {
    name: 'cut',
    steps: {
      a: { type: 'handler', handler: 'thrower', retry: { attempts: 2, delay: 'PT0.01S' }, onError: 'continue' },
      ask: { ...asks, after: ['a'] },
    },
  })
  const id = await startFlow(engine, flow)
  await vi.waitFor(async () => expect(await readExecution(database, id)).toMatchObject({ status: 'WAITING' }))
  expect(tries).toBe(2)
  const subjects = await database.query('select subject from sluice.agent_requests where execution_id = $1', [id])
  expect(subjects).toEqual([{ subject: 'a\uFFFDb' }])
})
