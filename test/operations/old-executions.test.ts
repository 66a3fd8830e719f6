/** What is left of executions as they grow old, for whoever could read them: through the API. */
import { expect, test } from 'vitest'
import { createMasks } from '../../src/engine/masks.ts'
import { createPrograms } from '../../src/engine/programs.ts'
import { removeOld } from '../../src/engine/remove-finished.ts'
import { decodeId, encodeId } from '../../src/ids.ts'
import { MASK } from '../../src/masking/mark.ts'
import { age, superuserOf } from '../harness/age.ts'
import { testApi } from '../harness/api.ts'
import { auditKeys } from '../harness/audit-keys.ts'

const api = await testApi()
type Person = Awaited<ReturnType<typeof api.person>>

const DEFINITION = {
  name: 'routed',
  input: { type: 'object', properties: { ssn: { type: 'string', sensitive: true }, n: { type: 'integer' } } },
  steps: {
    choose: { type: 'route', cases: [{ when: 'input.n > 1', to: 'big' }], otherwise: 'small' },
    big: { type: 'transform', on: 'choose:big', set: { text: '${{ input.ssn }}' } },
    small: { type: 'transform', on: 'choose:small', set: {} },
    last: { type: 'fail', after: ['big'], code: 'NO_SUCH_PERSON', message: 'there is no ${{ input.ssn }}' },
  },
}

const READ = `query ($id: ID!) { execution(id: $id) {
  status reason error { code message step } input inputBytes output outputBytes state stateBytes redacted
  progress { total finished failed skipped running } routeTaken completedSteps currentSteps waitingFor { kind }
  steps { name path type status attempt startedAt finishedAt input output error { code message } items: id }
  events(first: 100) { seq type step data } lastSeq feedCursor durationMs
  retryOf { id } picture
} }`

/** An execution that ended so many days ago, and what retention has left of it; its id, as the API has it. */
async function executionOf(who: Person, days: number): Promise<string> {
  const created = await api.run(
    who,
    `mutation ($d: JSON!) { createFlow(input: { definition: $d }) { __typename ... on ValidationProblem { issues { path message } } } }`,
    { d: { ...DEFINITION, name: `routed_${days}` } },
  )
  expect(created.data.createFlow).toEqual({ __typename: 'CreateFlowSuccess' })
  const started = await api.run(
    who,
    `mutation ($flow: String!) { startExecution(input: { flow: $flow, input: { ssn: "123-45-6789", n: 2 }, waitMs: 20000 }) {
      ... on StartExecutionSuccess { execution { id status } } } }`,
    { flow: `routed_${days}` },
  )
  const [row] = await api.database.query<{ name: string }>('select current_database()::text as name')
  const superuser = await superuserOf(row!.name)
  const [id] = await age(superuser, [decodeId('execution', started.data.startExecution.execution.id)!], days)
  for (const what of ['executionPayloads', 'executions'] as const) {
    await removeOld(what, { database: api.database, auditKeys, isStopping: () => false })
  }
  return encodeId('execution', id!)
}

test('after its payloads an execution still tells how it went, to whoever could read it and to nobody else (A11, B10)', async () => {
  const who = await api.person()
  const { execution: young } = (await api.run(who, READ, { id: await executionOf(who, 29) })).data
  const id = await executionOf(who, 31)
  const { data, codes } = await api.run(who, READ, { id })
  expect(codes).toEqual([])
  const { execution: old } = data
  expect(young).toMatchObject({ input: { ssn: MASK, n: 2 }, state: { steps: {} } })
  expect(old).toMatchObject({ input: null, inputBytes: null, output: null, state: null, redacted: [] })
  for (const same of [
    'status',
    'progress',
    'routeTaken',
    'completedSteps',
    'currentSteps',
    'waitingFor',
    'stateBytes',
    'lastSeq',
  ])
    expect(old[same], same).toEqual(young[same])
  expect(old.picture.replaceAll('routed_31', 'routed_29') === young.picture, 'the same picture').toBe(true)
  const told = ({ steps }: typeof old) =>
    steps.map(({ name, path, type, status, attempt }: Record<string, unknown>) => ({ name, path, type, status, attempt }))
  expect(told(old)).toEqual(told(young))
  expect(old.steps.map(({ status }: { status: string }) => status)).toEqual(['SUCCEEDED', 'SUCCEEDED', 'SKIPPED', 'FAILED'])
  expect(old.events.map(({ type }: { type: string }) => type)).toEqual(young.events.map(({ type }: { type: string }) => type))
  const stranger = await api.person()
  expect((await api.run(stranger, READ, { id })).data).toEqual({ execution: null })
})

test('what was sensitive stays hidden when its input, which says what it was, is gone (A11, B9)', async () => {
  const who = await api.person()
  const id = await executionOf(who, 32)
  // as a process that never read it before
  const masks = createMasks(api.database, createPrograms(api.database, api.services.allow))
  const uuid = decodeId('execution', id)!
  const mask = (await masks([uuid])).get(uuid)!
  expect(mask.text('there is no 123-45-6789')).toBe(MASK)
  expect(mask.event({ data: { error: { message: 'there is no 123-45-6789' } } }).data).toBe(MASK)
  expect(mask.json('other', '{"said":"123-45-6789"}', '').text).not.toContain('123-45')
  const { data } = await api.run(who, READ, { id })
  expect(JSON.stringify(data)).not.toContain('123-45-6789')
  expect(data.execution.steps.at(-1).error).toEqual({ code: 'NO_SUCH_PERSON', message: MASK })
})

test('nothing can be done with it: it has ended (A11)', async () => {
  const who = await api.person()
  const id = await executionOf(who, 33)
  for (const verb of ['cancel', 'pause', 'resume']) {
    const { data } = await api.run(who, `mutation ($id: ID!) { done: ${verb}Execution(input: { id: $id }) { __typename } }`, {
      id,
    })
    expect(data.done, verb).toEqual({ __typename: 'IllegalStateProblem' })
  }
})

test('its feed goes on from any cursor to its end; when it is removed there is no feed (A11, B10)', async () => {
  const who = await api.person()
  const uuid = decodeId('execution', await executionOf(who, 34))!
  const feed = await api.feeds.openExecutionFeed({ principal: who, executionId: uuid, after: undefined })
  const frames = [(await feed.next()).value, (await feed.next()).value]
  expect(frames.map((frame) => frame?.kind)).toEqual(['snapshot', 'end'])
  const removed = decodeId('execution', await executionOf(who, 91))!
  await expect(api.feeds.openExecutionFeed({ principal: who, executionId: removed, after: undefined })).rejects.toMatchObject({
    code: 'NOT_FOUND',
  })
})

test('an execution that was removed is not there: by id, as a node, in lists, for its controls (A11)', async () => {
  const who = await api.person()
  const id = await executionOf(who, 92)
  const { data, codes } = await api.run(
    who,
    `query ($id: ID!) { execution(id: $id) { id } node(id: $id) { id } executions(first: 10) { edges { node { id } } } }`,
    { id },
  )
  expect(codes).toEqual([])
  expect(data).toEqual({ execution: null, node: null, executions: { edges: [] } })
  for (const verb of ['cancel', 'pause', 'resume']) {
    const answer = await api.run(who, `mutation ($id: ID!) { done: ${verb}Execution(input: { id: $id }) { __typename } }`, { id })
    expect(answer.data.done, verb).toEqual({ __typename: 'NotFoundProblem' })
  }
  const link = await api.run(
    who,
    `mutation ($id: ID!) { createExecutionLink(input: { executionId: $id, may: READ }) { __typename } }`,
    { id },
  )
  expect(link.data.createExecutionLink).toEqual({ __typename: 'NotFoundProblem' })
})
