/** What stands around steps, through the API: failures that are answered for, undoing, and what handlers say while they run. */
import { expect, test } from 'vitest'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { MASK } from '../../src/masking/mark.ts'
import { testApi } from '../harness/api.ts'

let open: () => void = () => {}
const { person, run } = await testApi({
  handlers: {
    book: (input, { log }) => {
      log(`booking ${JSON.stringify(input)}`, { input })
      return { booked: input }
    },
    broken: () => {
      throw new Error('sold out')
    },
    slow: async (input, { progress, log }) => {
      log('begun')
      progress({ done: 1, total: 4, message: `page of ${JSON.stringify(input)}` })
      await new Promise<void>((resolve) => (open = resolve))
      return null
    },
  },
})
const me = await person()

const CREATE = `mutation ($definition: JSON!) {
  createFlow(input: { definition: $definition }) { __typename ... on CreateFlowSuccess { flow { picture(format: MERMAID) } } ... on ValidationProblem { issues { code path } } }
}`
const START = `mutation ($flow: String!, $input: JSON!, $wait: Int) {
  startExecution(input: { flow: $flow, input: $input, waitMs: $wait }) { __typename ... on StartExecutionSuccess { execution { id } } }
}`
const READ = `query ($id: ID!) { execution(id: $id) {
  status reason ending error { code message step } completedSteps currentSteps output
  progress { total finished failed }
  steps { path name type status attempt error { code message } progress { fraction done total message } input output waitingFor { kind agentRequestId } }
  events(first: 500) { type path data }
  picture(format: MERMAID)
} }`

let flows = 0
async function start(definition: object, input: object = {}, wait = 5000, who: UserPrincipal = me): Promise<string> {
  const name = `flow_${++flows}`
  const created = await run(who, CREATE, { definition: { name, ...definition } })
  expect(created.data.createFlow, JSON.stringify(created)).toMatchObject({ __typename: 'CreateFlowSuccess' })
  const started = await run(who, START, { flow: name, input, wait })
  return started.data.startExecution.execution.id as string
}
const read = async (id: string, who = me) => (await run(who, READ, { id })).data.execution

const book = (what: string, more: object = {}) => ({ type: 'handler', handler: 'book', with: { what }, ...more })

test('a failed execution shows how it failed and what it undid, in the reverse order of the ends', async () => {
  const id = await start({
    steps: {
      flight: book('flight', { compensate: book('cancel flight') }),
      hotel: book('hotel', { after: ['flight'], compensate: book('cancel hotel') }),
      pay: { type: 'handler', handler: 'broken', after: ['hotel'] },
    },
  })
  const execution = await read(id)
  expect(execution).toMatchObject({
    ...{ status: 'FAILED', ending: null, reason: 'STEP_FAILED: sold out', completedSteps: ['flight', 'hotel'] },
    ...{ error: { code: 'STEP_FAILED', message: 'sold out', step: 'pay' }, progress: { total: 3, finished: 3, failed: 1 } },
  })
  const undone = execution.steps.filter(({ path }: { path: string }) => path.endsWith('.compensate'))
  expect(undone).toMatchObject([
    { path: expect.any(String), type: 'handler', status: 'SUCCEEDED', attempt: 1 },
    { path: expect.any(String), type: 'handler', status: 'SUCCEEDED', attempt: 1 },
  ])
  const flight = undone.find(({ name }: { name: string }) => name === 'flight')
  expect(flight).toMatchObject({
    path: 'flight.compensate',
    input: { what: 'cancel flight' },
    output: { booked: { what: 'cancel flight' } },
  })
  const told = execution.events.map(({ type, path }: { type: string; path: string | null }) => (path ? `${type} ${path}` : type))
  const wanted = [
    'compensation.started',
    'step.started hotel.compensate',
    'step.started flight.compensate',
    'compensation.finished',
  ]
  expect(told.filter((each: string) => wanted.includes(each))).toEqual(wanted)
})

test('while it undoes, an execution says how it will end and why; canceling it then changes nothing (A10)', async () => {
  const ask = { type: 'agent', role: 'operations_head', subject: 'Cancel the hotel', request: {} }
  const id = await start(
    { steps: { hotel: book('hotel', { compensate: ask }), nap: { type: 'wait', duration: 'PT1H', after: ['hotel'] } } },
    {},
    0,
  )
  await expect.poll(async () => (await read(id)).currentSteps).toEqual(['nap'])
  const cancel = `mutation ($id: ID!) { cancelExecution(input: { id: $id, reason: "not wanted" }) { __typename } }`
  expect((await run(me, cancel, { id })).data.cancelExecution.__typename).toBe('CancelExecutionSuccess')
  const undoing = await read(id)
  expect(undoing).toMatchObject({ status: 'WAITING', ending: 'CANCELED', reason: 'not wanted', error: null })
  const asked = undoing.steps.find(({ path }: { path: string }) => path === 'hotel.compensate')
  expect(asked).toMatchObject({ type: 'agent', status: 'WAITING', waitingFor: { kind: 'AGENT' } })
  expect((await run(me, cancel, { id })).data.cancelExecution.__typename).toBe('CancelExecutionSuccess')
  expect((await read(id)).ending).toBe('CANCELED')
  const answer = `mutation ($id: ID!) { answerAgentRequest(input: { id: $id, decision: ANSWER, data: null }) { __typename } }`
  await run(me, answer, { id: asked.waitingFor.agentRequestId })
  expect(await read(id)).toMatchObject({ status: 'CANCELED', ending: null, reason: 'not wanted' })
})

test('a failure that is answered for shows in the history and in the picture', async () => {
  const id = await start({
    steps: {
      pay: { type: 'handler', handler: 'broken', onError: { goto: 'sorry' } },
      sorry: { type: 'transform', set: { why: '${{ steps.pay.error.message }}' } },
    },
    output: { why: '${{ steps.sorry.output.why }}' },
  })
  const execution = await read(id)
  expect(execution).toMatchObject({ status: 'SUCCEEDED', output: { why: 'sold out' }, completedSteps: ['sorry'] })
  const failed = execution.events.find(({ type }: { type: string }) => type === 'step.failed')
  expect(failed.data).toMatchObject({ error: { code: 'STEP_FAILED' }, onError: { goto: 'sorry' } })
  expect(execution.picture).toContain('-.->|"on error"|')
})

test('how far a step is can be seen while it runs, and what is sensitive in it cannot (D2)', async () => {
  const input = { type: 'object', properties: { card: { type: 'string', sensitive: true } } }
  const steps = {
    paid: book('x', { with: { card: '${{ input.card }}' }, compensate: book('y', { with: { back: '${{ input.card }}' } }) }),
    slow: { type: 'handler', handler: 'slow', after: ['paid'], with: { card: '${{ input.card }}' } },
    stop: { type: 'fail', after: ['slow'], message: 'no' },
  }
  const id = await start({ input, steps }, { card: '4111 1111 1111 1111' }, 0)
  const slow = async () => (await read(id)).steps.find(({ path }: { path: string }) => path === 'slow')
  await expect
    .poll(async () => (await slow()).progress)
    .toEqual({
      ...{ fraction: 0.25, done: 1, total: 4 },
      message: `page of {"card":"${MASK}"}`,
    })
  expect((await read(id)).events.map(({ type }: { type: string }) => type)).toContain('step.progress')
  open()
  await expect.poll(async () => (await read(id)).status).toBe('FAILED')
  const execution = await read(id)
  const undone = execution.steps.find(({ path }: { path: string }) => path === 'paid.compensate')
  expect(undone).toMatchObject({ status: 'SUCCEEDED', input: { back: MASK } })
  expect(JSON.stringify(execution)).not.toContain('4111')
  expect((await slow()).progress).toBeNull()
})

test('what the attempts of an execution cost is told with it, and in the audit log when it ends (C7)', async () => {
  const id = await start({
    steps: {
      each: { type: 'map', over: '${{ [1, 2, 3] }}', step: book('${{ item }}', { cost: 7 }) },
      free: { ...book('free'), after: ['each'] },
      pay: {
        ...{ type: 'handler', handler: 'broken', after: ['free'], cost: 100 },
        retry: { attempts: 2, delay: 'PT0.01S', on: ['STEP_FAILED'] },
        compensate: book('never', { cost: 1_000 }),
      },
    },
  })
  expect((await run(me, 'query ($id: ID!) { execution(id: $id) { status tokens } }', { id })).data.execution).toEqual({
    ...{ status: 'FAILED', tokens: 3 * 7 + 2 * 100 },
  })
  const AUDITED = `query ($id: ID!) { auditEvents(filter: { execution: $id, type: "execution.finished" }, first: 5) { edges { node { tokens success } } } }`
  const { edges } = (await run(await person('ADMIN'), AUDITED, { id })).data.auditEvents
  expect(edges).toEqual([{ node: { tokens: 221, success: false } }])
})
