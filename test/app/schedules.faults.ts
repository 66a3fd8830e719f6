/** Two whole servers, both away for a day, one killed while they catch up: each scheduled time is started once, none is lost. */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { decodeId } from '../../src/ids.ts'
import { seededChance } from '../harness/seeded.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import type { ServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'

const { env, database } = await testDatabase()
const ADMIN = { email: 'admin@sluice.local', password: 'Correct-horse-1' }
const settings = {
  ...env,
  SLUICE_JWT_SECRET: randomBytes(48).toString('base64url'),
  SLUICE_ADMIN_PASSWORD: ADMIN.password,
  SLUICE_LIMIT_RUNNING_PER_INITIATOR: '1000',
}
const QUARTER_MS = 900_000
const ROUNDS = 2
const chance = seededChance()
const start = async (): Promise<ServerProcess> => startServerProcess(await dataDirectory(), settings)

async function ask(server: ServerProcess, token: string | undefined, query: string, variables: object) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${server.url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }) })
  return ((await answer.json()) as { data: Record<string, Record<string, unknown>> }).data
}

test('a server that was down for a day catches up as told, once, with two servers running, also when one is killed meanwhile', async () => {
  let [here, there] = await Promise.all([start(), start()])
  const signIn = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }'
  const { accessToken } = (await ask(here, undefined, signIn, { input: ADMIN }))['signIn']! as { accessToken: string }
  for (let round = 0; round < ROUNDS; round++) {
    const all = await createSchedules(here, accessToken, `round ${round}`)
    await Promise.all([here.end('SIGKILL'), there.end('SIGKILL')])
    const [{ now }] = (await database.query('select extract(epoch from clock_timestamp())::float8 * 1000 as now')) as [
      { now: number },
    ]
    const since = Math.floor(now / QUARTER_MS) * QUARTER_MS - 24 * 4 * QUARTER_MS
    await database.query('update sluice.schedules set next_for = $1, next_at = $1 where trigger_id = any($2)', [
      new Date(since),
      all,
    ])
    ;[here, there] = await Promise.all([start(), start()])
    const victim = chance.pick([here, there])
    await until(async () => (await firingsOf(all)).some(({ status }) => status === 'STARTED'))
    await pause(chance.between(0, 150))
    await victim.end('SIGKILL')
    await until(async () => {
      const firings = await firingsOf(all)
      return firings.length > 0 && firings.every(({ status }) => status !== 'WAITING')
    })
    const firings = await firingsOf(all)
    const [caughtUp, last, none] = all.map((id) => firings.filter((firing) => firing.trigger_id === id))
    // a day in quarters of an hour, both ends; one more when a quarter passed meanwhile
    expect([97, 98]).toContain(caughtUp!.length)
    expect([2, 3]).toContain(last!.length)
    expect([1, 2]).toContain(none!.length)
    expect(firings.filter(({ status }) => status === 'MISSED').length).toBeGreaterThanOrEqual(1)
    const started = firings.filter(({ status }) => status === 'STARTED').map((firing) => firing.execution_id)
    const executions = await database.query<{ id: string }>('select id from sluice.executions where trigger_id = any($1)', [all])
    expect(executions.map(({ id }) => id).toSorted()).toEqual(started.toSorted())
    if (victim === here) here = await start()
    else there = await start()
  }
  await until(async () => (await database.query('select 1 from sluice.executions where ended_at is null limit 1')).length === 0)
  const ended = await database.query(`select distinct status from sluice.executions`)
  expect(ended).toEqual([{ status: 'SUCCEEDED' }])
}, 180_000)

/** One that catches up with all, one with the last, one with none: the UUIDs of their triggers. */
async function createSchedules(server: ServerProcess, token: string, name: string): Promise<string[]> {
  const trigger = { type: 'schedule', every: 'PT15M', overlap: 'allow', input: { at: '${{ schedule.time }}' } }
  const triggers = ['all', 'last', 'none'].map((catchUp) => ({ ...trigger, name: catchUp, catchUp }))
  const steps = { a: { type: 'transform', set: {} }, b: { type: 'wait', duration: 'PT0.05S', after: ['a'] } }
  const create = `mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) {
    ... on CreateFlowSuccess { flow { schedules { id name } } } } }`
  const created = (await ask(server, token, create, { definition: { name, steps, triggers } }))['createFlow']!
  const { schedules } = created['flow'] as { schedules: { id: string; name: string }[] }
  return ['all', 'last', 'none'].map((wanted) => decodeId('trigger', schedules.find((one) => one.name === wanted)!.id)!)
}

const firingsOf = (triggers: readonly string[]) =>
  database.query<{ trigger_id: string; status: string; execution_id: string }>(
    'select trigger_id, status, execution_id from sluice.schedule_firings where trigger_id = any($1)',
    [triggers],
  )

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let left = 2_000; !(await holds()); left--) {
    if (left === 0) throw new Error('it did not happen')
    await pause(20)
  }
}
