/** The example `campaign` through the API, against its services on this machine: the gate, what is repeated, what fails fast. */
import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { campaign } from '../../examples/flows/campaign.ts'
import { campaignServices } from '../../examples/services/campaign.ts'
import { testApi } from '../harness/api.ts'
import { startStubService } from '../harness/stub-service.ts'
import type { Asked } from '../harness/stub-service.ts'

/** Instead of what the service would answer; undefined: nothing is amiss. */
type Fault = (response: ServerResponse) => unknown
let faults: Record<string, Fault[]> = {}

const nameOf = ({ path }: Asked): string => new URL(path, 'http://services').pathname.slice(1)
const services = await startStubService((asked, response) => {
  const name = nameOf(asked)
  const fault = faults[name]?.shift()
  if (fault) return fault(response)
  const { searchParams } = new URL(asked.path, 'http://services')
  const sent: unknown = asked.method === 'GET' ? Object.fromEntries(searchParams) : JSON.parse(asked.body)
  const made = campaignServices[name]!(sent as Parameters<(typeof campaignServices)[string]>[0])
  return response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(made))
})
afterAll(() => services.close())
const api = await testApi({ outbound: { allow: [services.host] } })
const owner = await api.person()

const ALL = ['radar_scan', 'strategy_gen', 'content_prod', 'quality_audit', 'publish', 'learn']
const START = `mutation ($input: JSON!, $key: String) {
  startExecution(input: { flow: "campaign", input: $input, idempotencyKey: $key, waitMs: 20000 }) {
    ... on StartExecutionSuccess { replayed execution {
      id status routeTaken completedSteps output error { code message step } steps { name status attempt }
    } } ... on Problem { code message }
  }
}`

beforeAll(async () => {
  const definition = campaign(services.url)
  const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename } }`
  expect((await api.run(owner, CREATE, { definition })).data.createFlow).toEqual({ __typename: 'CreateFlowSuccess' })
})

let before = 0
beforeEach(() => {
  faults = {}
  before = services.asked.length
})
const called = (): string[] => services.asked.slice(before).map(nameOf)

async function start(input: object, key?: string) {
  const { data } = await api.run(owner, START, { input, key })
  return data.startExecution as {
    execution: {
      id: string
      status: string
      routeTaken: string | null
      completedSteps: string[]
      output: unknown
      error: { code: string; message: string; step: string } | null
      steps: { name: string; status: string; attempt: number }[]
    }
  }
}

test('six services are called in turn, each with a key of its own, and what they made is the output (E7)', async () => {
  const { execution } = await start({ topic: 'tides', channels: ['web', 'mail'] })
  expect(execution).toMatchObject({ status: 'SUCCEEDED', routeTaken: 'passed', error: null })
  expect(execution.output).toEqual({ published: ['web-1', 'mail-1'], findings: 0, learned: '2 published' })
  expect(called()).toEqual(ALL)
  const keys = services.asked.slice(before).map(({ headers }) => headers['idempotency-key'])
  expect(keys).toEqual(ALL.map((name) => `${execution.id}/${name}`))
})

test('a critical finding stops it before anything is published (E7)', async () => {
  const { execution } = await start({ topic: 'a miracle' })
  expect(execution).toMatchObject({ status: 'FAILED', error: { code: 'CRITICAL_FINDING', step: 'reject' } })
  expect(called()).toEqual(ALL.slice(0, 4))
})

test('a broken connection is repeated twice, half a second and a second apart, and nothing else is (E3, E7)', async () => {
  const breaks: Fault = (response) => response.destroy()
  faults = { publish: [breaks, breaks] }
  const began = performance.now()
  const { execution } = await start({ topic: 'tides' })
  expect(execution.status).toBe('SUCCEEDED')
  // less the jitter, a fifth at most
  expect(performance.now() - began).toBeGreaterThan(1_200)
  expect(called()).toEqual([...ALL.slice(0, 4), 'publish', 'publish', 'publish', 'learn'])
  expect(execution.steps.map(({ name, attempt }) => [name, attempt])).toContainEqual(['publish', 3])
})

test('a service that is gone for good fails the campaign after the third attempt (E3)', async () => {
  faults = { radar_scan: Array.from({ length: 9 }, (): Fault => (response) => response.destroy()) }
  const { execution } = await start({ topic: 'tides' })
  expect(execution).toMatchObject({ status: 'FAILED', error: { code: 'HTTP_NETWORK', step: 'radar_scan' } })
  expect(called()).toEqual(['radar_scan', 'radar_scan', 'radar_scan'])
})

test('a service that fails with 500, or refuses with 422, fails the campaign at once (E3, E7)', async () => {
  for (const [status, code] of [
    [500, 'HTTP_5XX'],
    [422, 'HTTP_4XX'],
  ] as const) {
    before = services.asked.length
    faults = { content_prod: [(response) => response.writeHead(status).end()] }
    const { execution } = await start({ topic: 'tides' })
    expect(execution).toMatchObject({ status: 'FAILED', error: { code, step: 'content_prod' } })
    expect(called()).toEqual(['radar_scan', 'strategy_gen', 'content_prod'])
  }
})

test('ten simultaneous starts with one key are one campaign, and call each service once (E1, E2)', async () => {
  const started = await Promise.all(Array.from({ length: 10 }, () => start({ topic: 'tides' }, 'the same')))
  expect(new Set(started.map(({ execution }) => execution.id)).size).toBe(1)
  expect(new Set(started.map(({ execution }) => JSON.stringify(execution.output))).size).toBe(1)
  expect(called()).toEqual(ALL)
})
