/** `simulateFlow` through the API: a history without an execution, and nothing written by it. */
import { expect, test } from 'vitest'
import { testApi } from '../harness/api.ts'
import { recordStatements } from '../harness/record-statements.ts'

const api = await testApi({ handlers: { charge: () => expect.unreachable('nothing runs') } })
const me = await api.person()

const SIMULATE = `mutation ($definition: JSON!, $case: JSON!) {
  simulateFlow(input: { definition: $definition, case: $case }) {
    ... on SimulateFlowSuccess { simulation {
      status output reason duration passed unusedResults error { code step } problem { code path } differences { path message }
      events { seq type at path data } steps { path type status attempt finishedAt output } asked { path role subject }
    } }
    ... on ValidationProblem { path issues { code path } }
  }
}`
const simulate = async (definition: object, given: unknown, who = me) => {
  const answered = await api.run(who, SIMULATE, { definition, case: given })
  return { ...answered, result: answered.data?.simulateFlow }
}

const flow = {
  name: 'subscription',
  timeout: 'P60D',
  steps: {
    trial: { type: 'wait', duration: 'P30D' },
    charge: {
      type: 'handler',
      handler: 'charge',
      after: ['trial'],
      retry: { attempts: 3, delay: 'P1D', maxDelay: 'P1D', factor: 1, jitter: 0 },
    },
    tell: { type: 'notify', after: ['charge'], roles: ['ceo'], subject: 'Paid', message: {} },
  },
  output: { receipt: '${{ steps.charge.output }}' },
}

test('a flow of thirty days is simulated in a moment, and not a row is written', async () => {
  const given = {
    startAt: '2026-03-01T12:00:00Z',
    results: { charge: [{ error: { code: 'STEP_FAILED' } }, { output: 'r1' }], tell: { never: true } },
    expect: { status: 'SUCCEEDED', duration: 'P31D', events: ['step.retrying charge', 'agent.notified tell'] },
  }
  const {
    result: { result },
    statements,
  } = await recordStatements(() => simulate(flow, given))
  expect(statements.map(({ text }) => text)).toEqual([])
  expect(result.simulation).toMatchObject({
    ...{
      status: 'SUCCEEDED',
      output: { receipt: 'r1' },
      duration: 'P31D',
      passed: true,
      differences: [],
      error: null,
      problem: null,
    },
    unusedResults: ['tell'],
    steps: [
      { path: 'trial', type: 'wait', finishedAt: '2026-03-31T12:00:00.000Z' },
      { path: 'charge', attempt: 2, output: 'r1' },
      { path: 'tell', status: 'SUCCEEDED' },
    ],
    asked: [{ path: 'tell', role: 'ceo', subject: 'Paid' }],
  })
  expect(result.simulation.events[0]).toMatchObject({ seq: 1, type: 'execution.started', at: '2026-03-01T12:00:00.000Z' })
})

test('what differs and what is missing is told', async () => {
  const { result } = await simulate(flow, { expect: { status: 'FAILED' } })
  expect(result.simulation).toMatchObject({
    status: 'RUNNING',
    passed: false,
    problem: { code: 'MISSING_RESULT', path: 'charge' },
  })
  expect(result.simulation.differences.map(({ path }: { path: string[] }) => path)).toEqual([[], ['status']])
})

test('mistakes in the definition and in the case are problems with their paths', async () => {
  expect((await simulate({ name: 'x', steps: { a: { type: 'handler', handler: 'unknown' } } }, {})).result).toMatchObject({
    ...{ path: ['definition'], issues: [{ code: 'UNKNOWN_HANDLER', path: ['steps', 'a', 'handler'] }] },
  })
  expect((await simulate(flow, { results: { charg: { output: 1 } } })).result).toMatchObject({
    ...{ path: ['case'], issues: [{ code: 'UNKNOWN_STEP', path: ['results', 'charg'] }] },
  })
  expect((await simulate(flow, 7)).result).toMatchObject({ path: ['case'], issues: [{ code: 'INVALID_TYPE' }] })
})

test('one that would hold the server is ended, and others are served meanwhile', async () => {
  const heavy = { type: 'transform', set: { n: '${{ input.list.map(a, input.list.filter(b, b == a).size()).size() }}' } }
  const steps = Object.fromEntries(
    Array.from({ length: 90 }, (_, at) => [`s${at}`, at === 0 ? heavy : { ...heavy, after: [`s${at - 1}`] }]),
  )
  const cpu = process.cpuUsage()
  const { result } = await simulate({ name: 'heavy', steps }, { input: { list: Array.from({ length: 150 }, (_, at) => at) } })
  const { user, system } = process.cpuUsage(cpu)
  expect(result.simulation).toMatchObject({ status: 'RUNNING', problem: { code: 'LIMIT' } })
  expect((user + system) / 1_000).toBeLessThan(10_000)
})

test('it is for those who may create flows', async () => {
  expect((await simulate(flow, {}, await api.person('VIEWER'))).codes).toEqual(['FORBIDDEN'])
})
