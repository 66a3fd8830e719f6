/** Inputs, outputs and states: read only when selected, bounded, and never more than an answer can hold. */
import { expect, test } from 'vitest'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'

const { person, run } = await testApi({
  handlers: {
    broken: () => {
      throw new Error('no way')
    },
  },
})
const me = await person()

const createFlow = (definition: object) =>
  run(me, 'mutation ($d: JSON!) { createFlow(input: { definition: $d }) { ... on Problem { message } } }', { d: definition })
await createFlow({
  name: 'echo',
  steps: { copy: { type: 'transform', set: { text: '${{ input.text }}' } } },
  output: { text: '${{ steps.copy.output.text }}' },
})
await createFlow({ name: 'hold', steps: { wait: { type: 'wait', duration: 'PT1H' } } })
await createFlow({
  name: 'fails',
  steps: { work: { type: 'handler', handler: 'broken' }, never: { type: 'transform', set: {}, after: ['work'] } },
})

const START = `mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) { ... on StartExecutionSuccess { execution { id status } } ... on Problem { message } } }`
const start = async (flow: string, input: object = {}, more: object = {}) =>
  (await run(me, START, { input: { flow, input, waitMs: 5000, ...more } })).data.startExecution.execution
const read = async (id: string, fields: string) =>
  (await run(me, `query ($id: ID!) { execution(id: $id) { ${fields} } }`, { id })).data.execution

test('a payload is null beyond maxBytes, and its size is told', async () => {
  const { id } = await start('echo', { text: 'ü'.repeat(10) })
  const bytes = Buffer.byteLength(JSON.stringify({ text: 'ü'.repeat(10) }))
  const fields = `input(maxBytes: ${bytes}) inputBytes output(maxBytes: ${bytes - 1}) outputBytes state(maxBytes: 10) stateBytes`
  expect(await read(id, fields)).toMatchObject({
    ...{ input: { text: 'ü'.repeat(10) }, inputBytes: bytes },
    ...{ output: null, outputBytes: bytes, state: null },
  })
  expect(await read(id, 'state')).toEqual({
    state: { input: { text: 'ü'.repeat(10) }, steps: { copy: { text: 'ü'.repeat(10) } } },
  })
})

test('a payload that is not selected is not read', async () => {
  const { id } = await start('echo', { text: 'secret' })
  const { statements } = await recordStatements(() => read(id, 'status completedSteps flow { name } steps { status }'))
  expect(statements.length).toBeGreaterThan(0)
  for (const { text } of statements) expect(text).not.toMatch(/execution_inputs|execution_outputs|\binput\b|\boutput\b/)
})

test('an answer that would be over 10 MB is refused before it is read', async () => {
  const text = 'x'.repeat(999_000)
  for (let at = 0; at < 11; at += 1) await start('hold', { text }, { waitMs: 0 })
  const list = (first: number) =>
    run(me, `{ executions(first: ${first}, filter: { flow: "hold" }) { edges { node { input } } } }`)
  expect((await list(10)).codes).toEqual([])
  const refused = await list(11)
  expect(new Set(refused.codes)).toEqual(new Set(['RESPONSE_TOO_LARGE']))
})

test('an execution that failed says so in its error, its steps and its events (A3)', async () => {
  const { id, status } = await start('fails')
  expect(status).toBe('FAILED')
  const execution = await read(
    id,
    'error { code message step } output reason progress { failed } steps { name status error { code message } } events { type step }',
  )
  expect(execution).toMatchObject({ error: { code: 'STEP_FAILED', step: 'work' }, output: null, progress: { failed: 1 } })
  expect(execution.error.message).toContain('no way')
  expect(execution.steps).toMatchObject([
    { name: 'work', status: 'FAILED', error: { code: 'STEP_FAILED' } },
    { name: 'never', status: 'CANCELED', error: null },
  ])
  expect(execution.events.map(({ type }: { type: string }) => type)).toEqual(
    expect.arrayContaining(['step.failed', 'execution.failed']),
  )
})

test('an execution that starts later waits for its time', async () => {
  const startAt = new Date(Date.now() + 3_600_000).toISOString()
  const { id } = await start('echo', { text: '' }, { startAt, waitMs: 0 })
  expect(await read(id, 'status startedAt waitingFor { kind until step } currentSteps lastSeq')).toEqual({
    ...{ status: 'PENDING', startedAt: null, currentSteps: [], lastSeq: 0 },
    waitingFor: { kind: 'START', until: startAt, step: null },
  })
})

test('events come in pieces after a seq, and a bad number is refused', async () => {
  const { id } = await start('echo', { text: '' })
  const all = (await read(id, 'events { seq }')).events.map(({ seq }: { seq: number }) => seq)
  expect((await read(id, 'events(after: 1, first: 2) { seq }')).events.map(({ seq }: { seq: number }) => seq)).toEqual(
    all.slice(1, 3),
  )
  expect((await read(id, 'events(first: 0) { seq }')).events).toEqual([])
  const { codes } = await run(me, `{ execution(id: "${id}") { events(first: 501) { seq } } }`)
  expect(codes).toEqual(['BAD_REQUEST'])
})
