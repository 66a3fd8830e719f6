/** What steps say that they return: it is checked, and what it marks as sensitive is masked wherever it goes (D5, B9). */
import { expect, test } from 'vitest'
import { MASK } from '../../src/masking/mark.ts'
import { testApi } from '../harness/api.ts'

const api = await testApi({
  handlers: {
    find: (input) => ({ pin: 41, name: 'Ada', pets: [{ chip: 17, kind: 'cat' }], n: input }),
    odd: () => ({ pin: 'four' }),
    list: () => [1, 2, 3],
  },
})
const owner = await api.person()

const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition, visibility: PUBLIC }) {
  __typename ... on ValidationProblem { issues { code path message } } } }`
const START = `mutation ($flow: String!) { startExecution(input: { flow: $flow, input: {}, waitMs: 20000 }) {
  ... on Problem { code message } ... on StartExecutionSuccess { execution { id status error { code message } } } } }`
const READ = `query ($id: ID!, $unmask: Boolean!) { execution(id: $id) {
  output(unmask: $unmask) state(unmask: $unmask) redacted
  steps { name input(unmask: $unmask) output(unmask: $unmask)
    items(first: 10) { edges { node { input(unmask: $unmask) output(unmask: $unmask) } } } }
  events(first: 100) { data } } }`

const RETURNS = {
  type: 'object',
  required: ['pin'],
  properties: {
    pin: { type: 'integer', sensitive: true },
    name: { type: 'string' },
    pets: { type: 'array', items: { type: 'object', properties: { chip: { type: 'integer', sensitive: true } } } },
  },
}
let made = 0
async function run(
  steps: object,
  more: object = {},
): Promise<{ id: string; status: string; error: { code: string; message: string } | null }> {
  const name = `returns_${made++}`
  expect((await api.run(owner, CREATE, { definition: { name, steps, ...more } })).data.createFlow).toEqual({
    __typename: 'CreateFlowSuccess',
  })
  return (await api.run(owner, START, { flow: name })).data.startExecution.execution
}
const read = async (id: string, unmask = false) => {
  const { data } = await api.run(owner, READ, { id, unmask })
  const { steps, ...execution } = data.execution
  return { ...execution, steps: Object.fromEntries(steps.map((step: { name: string }) => [step.name, step])) }
}

test('an output that does not fit fails the step, and is not tried again (D5)', async () => {
  const { status, error } = await run({ a: { type: 'handler', handler: 'odd', returns: RETURNS, retry: { attempts: 3 } } })
  expect([status, error]).toEqual(['FAILED', { code: 'INVALID_OUTPUT', message: 'output.pin: must be integer' }])
  const missing = await run({ a: { type: 'transform', set: { name: 'x' }, returns: RETURNS } })
  expect(missing.error?.message).toBe('output.pin: The field is missing.')
})

test('an output may be a list, when it is said', async () => {
  const returns = { type: 'array', items: { type: 'integer' } }
  expect((await run({ a: { type: 'handler', handler: 'list', returns } })).status).toBe('SUCCEEDED')
})

test('what an output marks as sensitive is masked in it and in all that is made of it (B9)', async () => {
  const { id } = await run(
    {
      find: { type: 'handler', handler: 'find', with: {}, returns: RETURNS },
      copy: {
        type: 'transform',
        after: ['find'],
        set: { all: '${{ steps.find.output }}', pin: '${{ steps.find.output.pin }}', name: '${{ steps.find.output.name }}' },
      },
      tell: {
        type: 'notify',
        after: ['copy'],
        roles: ['ceo'],
        message: { chips: '${{ steps.find.output.pets.map(p, p.chip) }}' },
      },
    },
    { output: { pin: '${{ steps.copy.output.pin }}', who: '${{ steps.copy.output.name }}' } },
  )
  const masked = await read(id)
  expect(masked.output).toEqual({ pin: MASK, who: 'Ada' })
  expect(masked.steps.find.output).toMatchObject({ pin: MASK, name: 'Ada', pets: [{ chip: MASK, kind: 'cat' }] })
  expect(masked.steps.copy.output).toMatchObject({ all: { pin: MASK, name: 'Ada' }, pin: MASK, name: 'Ada' })
  expect(masked.state.steps.find).toMatchObject({ pin: MASK, pets: [{ chip: MASK }] })
  expect(masked.redacted).toContain('/output/pin')
  expect(JSON.stringify(masked)).not.toMatch(/\b(41|17)\b/)
  expect((await read(id, true)).output).toEqual({ pin: 41, who: 'Ada' })
})

test('so it is in the items of a map, and in what the map returns (B9)', async () => {
  const { id, error } = await run({
    all: { type: 'map', over: [1, 2], step: { type: 'handler', handler: 'find', with: { n: '${{ item }}' }, returns: RETURNS } },
    copy: { type: 'transform', after: ['all'], set: { pins: '${{ steps.all.output.items.map(i, i.pin) }}' } },
  })
  expect(error).toBeNull()
  const masked = await read(id)
  expect(masked.steps.all.output.items).toMatchObject([{ pin: MASK, name: 'Ada' }, { pin: MASK }])
  expect(masked.steps.all.items.edges.map(({ node }: { node: { output: object } }) => node.output)).toMatchObject([
    { pin: MASK, name: 'Ada', n: { n: 1 } },
    { pin: MASK, n: { n: 2 } },
  ])
  expect(masked.steps.copy.output).toEqual({ pins: MASK })
})

test('what is wrong with a schema of an output is told with its path (D5)', async () => {
  const steps = { a: { type: 'transform', set: {}, returns: { type: 'object', propertes: {} } } }
  const { data } = await api.run(owner, CREATE, { definition: { name: 'wrong', steps } })
  expect(data.createFlow.issues).toMatchObject([{ code: 'INVALID_SCHEMA', path: ['steps', 'a', 'returns', 'propertes'] }])
})
