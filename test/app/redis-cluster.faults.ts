/** A fleet on a Redis Cluster over TLS, with an agent: its masters die one after the other, and nobody is told of anything. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { decodeId } from '../../src/ids.ts'
import { testFleet } from '../harness/fleet.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedisCluster } from '../harness/redis-cluster.ts'
import { dataDirectory } from '../harness/server-process.ts'
import { testCertificate } from '../harness/test-certificate.ts'

const AGENT = fileURLToPath(new URL('../../examples/agents/agent.ts', import.meta.url))
/** The first has the answers and what the ceo is asked, the last what the cto is asked and the queue of work. */
const DYING = [0, 2]
const PART = 25
/** what the rules of the example look at */
const ASKED = { feature: 'moon base', analysis: { complexity: 1 } }
const FLOW = {
  ...{ version: 1, name: 'two_say_yes' },
  steps: {
    ceo: { type: 'agent', role: 'ceo', subject: 'One ${{ input.at }}', request: ASKED, timeout: 'PT10M' },
    cto: { type: 'agent', after: ['ceo'], role: 'cto', subject: 'Two ${{ input.at }}', request: ASKED, timeout: 'PT10M' },
    both: { type: 'transform', after: ['cto'], set: { said: '${{ steps.ceo.output.decision + steps.cto.output.decision }}' } },
  },
}

const certificate = hasRedis ? testCertificate(await dataDirectory()) : undefined
const cluster = certificate && (await testRedisCluster({ masters: 3, replicasOf: DYING, certificate }))
const trusting = { REDIS_URL: cluster?.urlOfAll ?? '', NODE_EXTRA_CA_CERTS: certificate?.certFile ?? '' }
const fleet = cluster && (await testFleet({ ...trusting, SLUICE_DISPATCH: 'redis' }))

test.skipIf(!fleet)(
  'masters of a Redis Cluster die while agents are asked: nothing is lost, each is answered once, and no call fails (A14, D6, E5)',
  async () => {
    const { startServer, startWorker, ask, database } = fleet!
    await cluster!.ready
    const server = await startServer()
    const workers = [await startWorker(), await startWorker()]
    const agent = startAgent(server.url, await prepare())
    const executions: string[] = []
    const startPart = async (): Promise<void> => {
      const started = Array.from({ length: PART }, (_, at) => ask(START, { input: { at: `${executions.length + at}` } }))
      executions.push(...(await Promise.all(started)).map(({ startExecution }) => startExecution.execution.id))
    }
    await startPart()
    for (const at of DYING) {
      await agent.said(/APPROVE/g, executions.length / 2)
      const dying = cluster!.masters[at]!.stop()
      await startPart()
      await dying
    }
    const ids = executions.map((id) => decodeId('execution', id))
    const left = async () =>
      (await database.query(`select id from sluice.executions where id = any($1) and ended_at is null`, [ids])).length
    await expect.poll(left, { timeout: 60_000, interval: 200 }).toBe(0)
    const [found] = await database.query(
      `select (select count(*)::integer from sluice.executions where id = any($1) and status = 'SUCCEEDED') as succeeded,
         count(*)::integer as answered, count(distinct (execution_id, step))::integer as once
       from sluice.events where type = 'agent.answered' and execution_id = any($1)`,
      [ids],
    )
    const count = executions.length
    expect(found).toEqual({ succeeded: count, answered: 2 * count, once: 2 * count })
    // what a cluster says to its clients nobody else is told
    for (const line of agent.output().trim().split('\n')) expect(line).toMatch(/: (there|APPROVE|too late)/)
    for (const { output } of [server, ...workers]) expect(output()).not.toMatch(/"level":[56]0/)
  },
  120_000,
)

const START = `mutation ($input: JSON) { startExecution(input: { flow: "two_say_yes", input: $input, waitMs: 0 }) {
  ... on StartExecutionSuccess { execution { id } } } }`

/** The flow, and a key of an agent that may answer. */
async function prepare(): Promise<string> {
  const { ask } = fleet!
  const { createFlow } = await ask(
    `mutation ($definition: JSON!) { createFlow(input: { definition: $definition, visibility: PRIVATE }) {
       ... on CreateFlowSuccess { flow { id } } } }`,
    { definition: FLOW },
  )
  await ask(
    `mutation ($flowId: ID!) { grantFlowAccess(input: { flowId: $flowId, grants: [
       { to: { agentRole: "ceo" }, action: EXECUTE }, { to: { agentRole: "cto" }, action: EXECUTE }] }) { __typename } }`,
    { flowId: createFlow.flow.id },
  )
  const { createApiKey } = await ask(
    `mutation { createApiKey(input: { name: "agent", scopes: [REQUESTS_ANSWER], agentRoles: ["ceo", "cto"] }) {
       ... on CreateApiKeySuccess { secret } } }`,
  )
  return createApiKey.secret
}

function startAgent(url: string, key: string) {
  // found by one of them
  const env = {
    ...process.env,
    ...trusting,
    REDIS_URL: cluster!.url,
    AGENT_KEY: key,
    AGENT_ROLES: 'ceo,cto',
    SLUICE_URL: `${url}/graphql`,
  }
  const child = spawn(process.execPath, [AGENT], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  let output = ''
  child.stdout.on('data', (text: Buffer) => (output += String(text)))
  return {
    output: () => output,
    async said(pattern: RegExp, times: number): Promise<void> {
      while ((output.match(pattern) ?? []).length < times) await pause(20)
    },
  }
}
