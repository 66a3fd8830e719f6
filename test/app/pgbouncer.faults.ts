/** Two processes on one PostgreSQL behind PgBouncer in transaction mode: what they leave in a connection is gone with each transaction. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { expect, test } from 'vitest'
import { hasPgBouncer } from '../harness/has-redis.ts'
import { breaches } from '../harness/invariants.ts'
import { pooled } from '../harness/pgbouncer.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'

const PASSWORD = 'Correct-horse-1'
const EXECUTIONS = 200
const CREATE = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { ... on CreateFlowSuccess { flow { id } } ... on Problem { message } } }`
const START = `mutation ($input: StartExecutionInput!) { startExecution(input: $input) { ... on StartExecutionSuccess { execution { id status } } ... on Problem { message } } }`
const definition = {
  name: 'pooled',
  steps: {
    first: { type: 'handler', handler: 'echo', with: { n: '${{ input.n }}' } },
    nap: { type: 'wait', after: ['first'], duration: 'PT0.3S' },
    each: { type: 'map', after: ['nap'], over: '${{ [1, 2, 3] }}', step: { type: 'transform', set: { n: '${{ item }}' } } },
    last: { type: 'handler', handler: 'echo', after: ['each'], with: { n: '${{ input.n }}' } },
  },
  output: { n: '${{ steps.last.output.n }}' },
}

test.runIf(hasPgBouncer)(
  'behind PgBouncer two processes start, run, wait and wake as without, on a few connections',
  { timeout: 180_000 },
  async () => {
    const { database, connection, ownerConnection } = await testDatabase()
    const through = await pooled(connection, 8)
    const env = {
      ...{ DATABASE_URL: through, DATABASE_DIRECT_URL: connection, DATABASE_OWNER_URL: ownerConnection },
      ...{ SLUICE_JWT_SECRET: randomBytes(48).toString('base64url'), SLUICE_SECRETS_KEY: randomBytes(48).toString('base64url') },
      ...{ SLUICE_ADMIN_PASSWORD: PASSWORD, SLUICE_LIMIT_RUNNING_PER_INITIATOR: '100000', SLUICE_LEASE_MS: '10000' },
    }
    const servers = [await startServerProcess(await dataDirectory(), env), await startServerProcess(await dataDirectory(), env)]
    let token = ''
    // what a document asks for is what its test reads
    // oxlint-disable-next-line no-explicit-any
    const ask = async (server: number, query: string, variables: object): Promise<any> => {
      const answer = await fetch(`${servers[server]!.url}/graphql`, {
        ...{ method: 'POST', body: JSON.stringify({ query, variables }) },
        headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
      })
      const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
      if (errors) throw new Error(JSON.stringify(errors))
      return data
    }
    const signIn = `mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }`
    token = (await ask(0, signIn, { input: { email: 'admin@sluice.local', password: PASSWORD } })).signIn.accessToken
    expect((await ask(0, CREATE, { definition })).createFlow).toHaveProperty('flow')

    const began = performance.now()
    const run = async (n: number): Promise<void> => {
      const input = { flow: 'pooled', input: { n }, waitMs: 20_000, idempotencyKey: `n-${n}` }
      const started = (await ask(n % 2, START, { input })).startExecution
      expect(started, JSON.stringify(started)).toMatchObject({ execution: { status: 'SUCCEEDED' } })
    }
    await Promise.all(Array.from({ length: EXECUTIONS }, (_, n) => run(n)))
    // woken by the bus, which listens on a connection of its own; without it each look would come a second late
    expect(performance.now() - began).toBeLessThan(30_000)
    expect(await breaches(database)).toEqual([])
    const listening = await database.query(
      `select from pg_stat_activity where datname = current_database() and application_name = 'sluice bus'`,
    )
    expect(listening).toHaveLength(2)

    const client = new Client({ connectionString: through })
    await client.connect()
    for (const name of ['statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout'])
      expect((await client.query(`show ${name}`)).rows[0]).toEqual({ [name]: '5s' })
    await client.end()
    for (const server of servers) {
      expect(await server.end('SIGTERM')).toBe(0)
      expect(server.output(), 'no statement failed').not.toContain('"err":')
    }
  },
)
