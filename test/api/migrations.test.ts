/** Running executions stay on their version; those that wait are moved to a newer one at safe points, or it is told why not. */
import { expect, test } from 'vitest'
import type { Principal } from '../../src/identity/principal.ts'
import { decodeId } from '../../src/ids.ts'
import { as, testApi } from '../harness/api.ts'

let release: (value: unknown) => void = () => {}
const api = await testApi({ handlers: { slow: () => new Promise((resolve) => (release = resolve)), quick: (input) => input } })
const { person, run, engine, audited } = api
const owner = await person()
let count = 0

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
  __typename ... on CreateFlowSuccess { flow { id } } ... on ValidationProblem { issues { code path message } } } }`
const PUBLISH = `mutation ($flow: ID!, $definition: JSON!, $version: Int!) {
  publishFlowVersion(input: { flowId: $flow, definition: $definition, expectedVersion: $version }) {
    __typename ... on ValidationProblem { issues { code path message } } } }`
const START = `mutation ($flow: String!, $input: JSON) { startExecution(input: { flow: $flow, input: $input }) {
  __typename ... on StartExecutionSuccess { execution { id } } } }`
const FOUND = `possible execution { id flowVersion { number } } obstacles { code step message }`
const PLAN = `query ($flow: ID!, $to: Int, $from: Int, $ids: [ID!], $first: Int! = 20, $after: ID) {
  planMigration(flow: $flow, to: $to, from: $from, executions: $ids, first: $first, after: $after) {
    flowVersion { number } more executions { ${FOUND} } } }`
const MIGRATE = `mutation ($input: MigrateExecutionsInput!) { migrateExecutions(input: $input) {
  __typename ... on MigrateExecutionsSuccess { more executions { ${FOUND} } } ... on Problem { code } } }`
const LOOK = `query ($id: ID!) { execution(id: $id) { status output flowVersion { number }
  progress { total finished } steps { name status } events { type data } } }`

const hold = (more: object = {}) => ({ type: 'signal', signals: ['go'], timeout: 'P1D', ...more })
const V1 = {
  pick: { type: 'route', cases: [{ when: 'input.n > 1', to: 'many' }], otherwise: 'one' },
  made: { type: 'transform', after: ['pick'], set: { n: '${{ input.n }}' } },
  hold: hold({ after: ['made'] }),
  done: { type: 'transform', after: ['hold'], set: { n: '${{ steps.made.output.n }}' } },
}
const INPUT = { type: 'object', properties: { n: { type: 'integer' } } }

async function createFlow(
  steps: object,
  more: object = {},
): Promise<{ id: string; publish(steps: object, more?: object): Promise<void> }> {
  const name = `moving ${++count}`
  const definition = (steps: object, more: object) => ({ name, input: INPUT, steps, ...more })
  const { data } = await run(owner, CREATE, { definition: definition(steps, more) })
  const { id } = as('CreateFlowSuccess', data.createFlow).flow
  let version = 1
  return {
    id,
    async publish(steps, more = {}) {
      const published = await run(owner, PUBLISH, { flow: id, definition: definition(steps, more), version: version++ })
      as('PublishFlowVersionSuccess', published.data.publishFlowVersion)
    },
  }
}
async function start(flow: string, input: object = { n: 1 }, until = 'WAITING'): Promise<string> {
  const { data } = await run(owner, START, { flow, input })
  const { id } = as('StartExecutionSuccess', data.startExecution).execution
  await reaches(id, until)
  return id
}
const look = async (id: string) => (await run(owner, LOOK, { id })).data.execution
const reaches = (id: string, status: string) => expect.poll(async () => (await look(id)).status, { timeout: 10_000 }).toBe(status)
const plan = async (flow: string, more: object = {}, who: Principal = owner) =>
  (await run(who, PLAN, { flow, ...more })).data?.planMigration
const migrate = async (flow: string, more: object = {}) => {
  const { data, errors } = await run(owner, MIGRATE, { input: { flow, ...more } })
  expect(errors).toEqual([])
  return data.migrateExecutions
}
const signal = (id: string) =>
  run(owner, `mutation ($id: ID!) { signalExecution(input: { id: $id, signal: "go" }) { __typename } }`, { id })
async function ended(id: string) {
  await engine.ended(decodeId('execution', id)!, 10_000)
  return look(id)
}
interface Found {
  possible: boolean
  execution: { id: string }
}
/** `CODE step`, of the only execution that there is. */
async function obstacles(flow: string): Promise<string[]> {
  const { executions } = await plan(flow)
  expect(executions).toHaveLength(1)
  return executions[0].obstacles
    .map(({ code, step }: { code: string; step: string | null }) => (step ? `${code} ${step}` : code))
    .sort()
}

test('what waits, is paused or has not begun moves to the newest version, and goes on there', async () => {
  const flow = await createFlow(V1, { output: { v: 1, n: '${{ steps.done.output.n }}' } })
  const waiting = await start(flow.id, { n: 5 })
  const paused = await start(flow.id)
  await run(owner, `mutation ($id: ID!) { pauseExecution(input: { id: $id }) { __typename } }`, { id: paused })
  const later = as(
    'StartExecutionSuccess',
    (
      await run(
        owner,
        `mutation ($flow: String!) { startExecution(input: { flow: $flow, input: { n: 1 }, startAt: "2999-01-01T00:00:00Z" }) {
        __typename ... on StartExecutionSuccess { execution { id } } } }`,
        { flow: flow.id },
      )
    ).data.startExecution,
  ).execution.id
  expect(await plan(flow.id)).toEqual({ flowVersion: { number: 1 }, more: false, executions: [] })
  const checked = { type: 'transform', after: ['hold'], set: { n: '${{ steps.made.output.n * 10 }}' } }
  await flow.publish({ ...V1, checked }, { output: { v: 2, n: '${{ steps.checked.output.n }}' } })
  // nothing moves by itself
  expect((await look(waiting)).flowVersion.number).toBe(1)

  const planned = await plan(flow.id, { first: 2 })
  expect(planned).toMatchObject({ flowVersion: { number: 2 }, more: true })
  expect(planned.executions.map(({ possible, execution }: Found) => [execution.id, possible])).toEqual([
    [waiting, true],
    [paused, true],
  ])
  expect((await plan(flow.id, { after: paused })).executions.map(({ execution }: Found) => execution.id)).toEqual([later])

  const moved = as('MigrateExecutionsSuccess', await migrate(flow.id))
  expect(moved.executions.map(({ possible, execution }: Found) => [execution, possible])).toEqual(
    [waiting, paused, later].map((id) => [{ id, flowVersion: { number: 2 } }, true]),
  )
  expect((await plan(flow.id)).executions).toEqual([])
  await signal(waiting)
  const after = await ended(waiting)
  expect(after).toMatchObject({ status: 'SUCCEEDED', output: { v: 2, n: 50 }, progress: { total: 5, finished: 5 } })
  expect(after.events.find(({ type }: { type: string }) => type === 'execution.migrated').data).toEqual({
    from: 1,
    to: 2,
    by: expect.stringMatching(/^user_/),
  })
  expect((await look(paused)).status).toBe('PAUSED')
  expect((await audited(owner.id)).filter(({ type }) => type === 'execution.migrated')).toHaveLength(3)
})

test('whatever stands in the way is told, all of it, and nothing moves', async () => {
  const flow = await createFlow(V1)
  const id = await start(flow.id, { n: 5 })
  const { hold: _, ...without } = V1
  await flow.publish({ ...without, done: { ...V1.done, after: ['made'] } })
  expect(await obstacles(flow.id)).toEqual(['STEP_GONE hold'])
  await flow.publish({ ...V1, hold: hold({ after: ['made'], timeout: 'P2D' }) })
  expect(await obstacles(flow.id)).toEqual(['STEP_CHANGED hold'])
  await flow.publish({
    ...V1,
    pick: { type: 'route', cases: [{ when: 'input.n > 1', to: 'lots' }], otherwise: 'one' },
    made: { type: 'notify', after: ['pick'], roles: ['ceo'], message: {} },
    done: { type: 'transform', after: ['hold'], set: {} },
  })
  expect(await obstacles(flow.id)).toEqual(['ROUTE_GONE pick', 'TYPE_CHANGED made'])
  await flow.publish(V1, {
    input: { type: 'object', required: ['m'], properties: { n: { type: 'string' } } },
    timeout: 'PT0.001S',
  })
  expect(await obstacles(flow.id)).toEqual(['INPUT', 'INPUT', 'OUT_OF_TIME'])
  const { executions } = as('MigrateExecutionsSuccess', await migrate(flow.id))
  expect(executions).toMatchObject([{ possible: false, execution: { id, flowVersion: { number: 1 } } }])
  expect((await look(id)).events.map(({ type }: { type: string }) => type)).not.toContain('execution.migrated')
  // to another version, and to none
  expect((await plan(flow.id, { to: 3 })).executions[0].obstacles).toMatchObject([{ code: 'STEP_CHANGED' }])
  expect(await plan(flow.id, { to: 9 })).toBe(null)
  expect(await migrate(flow.id, { to: 9 })).toMatchObject({ __typename: 'NotFoundProblem' })
})

test('what runs stays where it is until it has ended', async () => {
  const flow = await createFlow({ work: { type: 'handler', handler: 'slow' }, hold: hold({ after: ['work'] }) })
  const id = await start(flow.id, {}, 'RUNNING')
  await flow.publish({
    work: { type: 'handler', handler: 'slow' },
    hold: hold({ after: ['work'] }),
    more: { type: 'transform', set: {} },
  })
  await expect.poll(() => obstacles(flow.id)).toEqual(['RUNNING work'])
  release({})
  await reaches(id, 'WAITING')
  expect(await obstacles(flow.id)).toEqual([])
  as('MigrateExecutionsSuccess', await migrate(flow.id, { executions: [id], from: 1 }))
  // a step that is new, and waits for nothing, begins at once
  await expect
    .poll(async () => (await look(id)).steps.map(({ name, status }: { name: string; status: string }) => `${name} ${status}`))
    .toEqual(expect.arrayContaining(['work SUCCEEDED', 'more SUCCEEDED', 'hold WAITING']))
})

test('what is hidden stays hidden: where a version would show it, nothing moves', async () => {
  const secret = { type: 'object', properties: { n: { type: 'integer', sensitive: true } } }
  const flow = await createFlow(V1, { input: secret })
  await start(flow.id)
  await flow.publish(V1)
  expect(await obstacles(flow.id)).toEqual(['SENSITIVE'])
  await flow.publish({ ...V1, made: { type: 'transform', after: ['pick'], set: { n: 1 } } }, { input: secret })
  expect(await obstacles(flow.id)).toEqual(['SENSITIVE made'])
  await flow.publish({ ...V1, done: { type: 'transform', after: ['hold'], set: {} } }, { input: secret })
  expect(await obstacles(flow.id)).toEqual([])
})

test('only whoever manages the flow plans and moves', async () => {
  const flow = await createFlow(V1)
  const stranger = await person()
  expect(await plan(flow.id, {}, stranger)).toBe(null)
  const grant = (level: string) =>
    run(
      owner,
      `mutation { grantFlowAccess(input: { flowId: "${flow.id}", grants: [{ to: { user: "${stranger.handle}" }, action: ${level} }] }) {
      __typename } }`,
    )
  await grant('EDIT')
  expect((await run(stranger, PLAN, { flow: flow.id })).codes).toEqual(['FORBIDDEN'])
  await grant('MANAGE')
  expect(await plan(flow.id, {}, stranger)).toMatchObject({ executions: [] })
  expect((await run(owner, PLAN, { flow: flow.id, first: 101 })).codes).toEqual(['BAD_REQUEST'])
})
