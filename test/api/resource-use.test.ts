/** `resourceUse`: who took most lately, for administrators, however long the table of hours is. */
import { beforeAll, expect, test } from 'vitest'
import { newUuid } from '../../src/ids.ts'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'

const api = await testApi()
const [admin, ann, bob] = [await api.person('ADMIN'), await api.person(), await api.person()]
const flows: string[] = []

beforeAll(async () => {
  for (const name of ['one', 'two']) {
    const d = { name, steps: { hold: { type: 'wait', duration: 'PT1H' } } }
    const created = await api.run(
      ann,
      'mutation ($d: JSON!) { createFlow(input: { definition: $d }) { ... on CreateFlowSuccess { flow { id } } } }',
      { d },
    )
    flows.push(created.data.createFlow.flow.id)
  }
  await add(0, ann.id, 'one', { executions: 5, bytes: 100, cpu: 7 })
  await add(0, ann.id, 'two', { executions: 5, bytes: 100, cpu: 1 })
  await add(0, bob.id, 'one', { executions: 7, bytes: 1_000, cpu: 2 })
  await add(5, bob.id, 'one', { executions: 100, bytes: 1, cpu: 1 })
  await add(30, bob.id, 'one', { executions: 100, bytes: 1, cpu: 1 })
})

/** Rows of an hour that lies so many hours back. */
const add = (
  hours: number,
  initiatorId: string,
  flow: string,
  { executions, bytes, cpu }: Record<'executions' | 'bytes' | 'cpu', number>,
) =>
  api.ownerQuery(
    `insert into sluice.resource_use
     select date_trunc('hour', now(), 'UTC') - make_interval(hours => $1), $2, id, $3, $4, 1, $5::float8, 1000, 0 from sluice.flows where name = $6`,
    [hours, initiatorId, executions, bytes, cpu, flow],
  )

const ask = (args: string, who = admin) =>
  api.run(who, `{ resourceUse${args} { initiator { handle } flow { name } executions payloadBytes handlerCpuMs running } }`)

test('initiators and flows, the most first, by what is asked for (D7)', async () => {
  expect((await ask('')).data.resourceUse).toMatchObject([
    { initiator: { handle: ann.handle }, flow: null, executions: 10, payloadBytes: 200, handlerCpuMs: 8, running: 0 },
    { initiator: { handle: bob.handle }, executions: 7, payloadBytes: 1_000, handlerCpuMs: 2 },
  ])
  const most = async (args: string) => (await ask(args)).data.resourceUse[0]
  expect(await most('(orderBy: PAYLOAD_BYTES)')).toMatchObject({ initiator: { handle: bob.handle } })
  expect(await most('(by: FLOW, orderBy: HANDLER_CPU)')).toMatchObject({ flow: { name: 'one' }, initiator: null, running: null })
  expect(await most('(window: "PT6H")')).toMatchObject({ initiator: { handle: bob.handle }, executions: 107 })
  expect((await ask('(first: 1, window: "P1D")')).data.resourceUse).toMatchObject([{ executions: 107 }])
})

test('`running` is how many executions have not ended', async () => {
  const START =
    'mutation ($f: String!) { startExecution(input: { flow: $f }) { ... on StartExecutionSuccess { execution { id } } } }'
  for (let at = 0; at < 3; at++) await api.run(ann, START, { f: flows[0] })
  expect((await ask('')).data.resourceUse[0]).toMatchObject({ initiator: { handle: ann.handle }, running: 3 })
})

test('others than administrators are refused, and so is what is out of bounds', async () => {
  expect((await ask('', ann)).codes).toEqual(['FORBIDDEN'])
  for (const args of ['(first: 0)', '(first: 101)', '(window: "P2D")'])
    expect((await ask(args)).codes, args).toEqual(['BAD_REQUEST'])
})

test('a long past costs nothing: only the hours of the window are read', async () => {
  await api.ownerQuery(
    `insert into sluice.resource_use
     select date_trunc('hour', now(), 'UTC') - make_interval(hours => 48 + n / 500), gen_random_uuid(), $1, 1, 1, 1, 1, 1, 0 from generate_series(1, 50000) n`,
    [newUuid()],
  )
  const { statements } = await recordStatements(() => ask(''))
  const statement = statements.find(({ text }) => text.includes('resource_use'))!
  const [row] = await api.ownerQuery<{ 'QUERY PLAN': { Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number } }[] }>(
    `explain (analyze, buffers, format json) ${statement.text}`,
    [...statement.values],
  )
  const { Plan: plan } = row!['QUERY PLAN'][0]!
  expect(plan['Shared Hit Blocks'] + plan['Shared Read Blocks']).toBeLessThan(100)
})
