/** `sluice drill` as an operator runs it, small: everything holds and nothing is left behind; and what does not hold is found. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { FAULT_NAMES } from '../../src/drill/faults/all.ts'
import { drillFlow } from '../../src/drill/flow.ts'
import type { Report } from '../../src/drill/draw/report.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { MACHINE } from '../harness/machine-environment.ts'
import { testRedisCluster } from '../harness/redis-cluster.ts'
import { dataDirectory, processesIn } from '../harness/server-process.ts'
import { testCertificate } from '../harness/test-certificate.ts'
import { testDatabase } from '../harness/test-database.ts'

const MAIN = `${import.meta.dirname}/../../src/main.ts`

interface Drill {
  readonly process: ChildProcess
  output(): string
  /** the exit code */
  readonly ended: Promise<number | null>
}

/** It is ended with SIGTERM, so that it tidies up, when the test is over before. */
function startDrill(args: readonly string[], environment: Record<string, string> = {}): Drill {
  const child = spawn(process.execPath, [MAIN, 'drill', ...args], {
    env: { ...MACHINE, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += String(text)))
  const ended = once(child, 'exit').then(() => child.exitCode)
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await ended
  })
  return { process: child, output: () => output, ended }
}

const directoriesOf = async ({ process: { pid } }: Drill): Promise<string[]> =>
  (await readdir(tmpdir())).filter((name) => name.startsWith(`sluice-drill-${pid}-`))

test('a drill on a machine of its own: every fault, everything holds, nothing is left behind (D9)', async () => {
  const drill = startDrill(['--executions', '100', '--seconds', '20', '--json'], { SLUICE_LEASE_MS: '4000' })
  const code = await drill.ended
  const report = JSON.parse(drill.output()) as Report
  expect([report.checks.filter(({ held }) => !held), code]).toEqual([[], 0])
  const left = hasRedis ? [] : ['drop-redis']
  expect(report.faults.map(({ name }) => name).toSorted()).toEqual(FAULT_NAMES.filter((name) => !left.includes(name)).toSorted())
  expect(report.skipped.map(({ name }) => name)).toEqual(left)
  expect(report.faults.every(({ name, hit }) => name === 'kill-api' || hit > 0)).toBe(true)
  expect(await directoriesOf(drill)).toEqual([])
})

test('a drill that is interrupted takes everything with it', async () => {
  const drill = startDrill(['--seconds', '60', '--only', 'kill-worker'])
  while (!drill.output().includes('a worker is killed')) await pause(50)
  const [directory] = await directoriesOf(drill)
  expect(await processesIn(`${tmpdir()}/${directory}`)).not.toEqual([])
  drill.process.kill('SIGINT')
  expect(await drill.ended).toBe(130)
  expect(await directoriesOf(drill)).toEqual([])
  expect(await processesIn(`${tmpdir()}/${directory}`)).toEqual([])
})

const { ownerQuery, env } = await testDatabase()
const beside = { ...env, SLUICE_LEASE_MS: '3000', SLUICE_DATA_DIR: await dataDirectory() }
/** How many executions there are that have not ended, and of those that have. */
const standings = async () => {
  const count = `select coalesce(case when ended_at is not null then status end, 'ACTIVE') as standing, count(*)::int as count from sluice.executions group by 1`
  const rows = await ownerQuery<{ standing: string; count: number }>(count)
  return Object.fromEntries(rows.map(({ standing, count: many }) => [standing, many]))
}

const certificate = hasRedis ? testCertificate(await dataDirectory()) : undefined
const cluster = certificate && (await testRedisCluster({ masters: 3, certificate }))
const onCluster = cluster && { REDIS_URL: cluster.url, NODE_EXTRA_CA_CERTS: certificate.certFile, SLUICE_DISPATCH: 'redis' }

test('a drill beside a fleet on a Redis Cluster over TLS finds what somebody took from the history meanwhile', async () => {
  await cluster?.ready
  const logs = await dataDirectory()
  const only = cluster ? 'kill-worker,drop-redis' : 'kill-worker'
  const args = ['--executions', '60', '--seconds', '8', '--workers', '2', '--only', only, '--logs', logs]
  const drill = startDrill(args, { ...beside, ...onCluster })
  const steal = `delete from sluice.step_runs where (execution_id, path) in
    (select execution_id, path from sluice.step_runs s join sluice.executions e on e.id = s.execution_id
     where e.ended_at is not null and path = 'left' limit 1) returning execution_id`
  while ((await ownerQuery(steal)).length === 0) await pause(50)
  expect(await drill.ended).toBe(1)
  expect(drill.output()).toMatch(
    /✘ no step is recorded twice or missing +\d+ of \d+ steps recorded\n +exec_\w+\/left is not recorded\n/,
  )
  // how fast it was is not the point here
  for (const held of ['no execution is lost', 'each step had its effect', 'every history is whole', 'the audit chain is intact'])
    expect(drill.output()).toContain(`✔ ${held}`)
  // all nodes were away from its processes, whatever names they know them by
  if (cluster) expect(await readFile(join(logs, 'api.log'), 'utf8')).toContain('the bus lost Redis')
  expect(drill.output()).toMatch(/things? did not hold\.\n/)
  expect(drill.output()).toMatch(/What the processes said is in \S+\.\n$/)
  const [user] = await ownerQuery(`select disabled_at is not null as disabled from sluice.users where handle = 'sluice-drill'`)
  expect(user).toEqual({ disabled: true })
  // it was not told the fleet's NODE_ENV
  expect(beside).not.toHaveProperty('NODE_ENV')
  expect(await ownerQuery(`select name from sluice.flows`)).toEqual([{ name: drillFlow.name }])
})

test('a drill beside a fleet that is killed leaves executions, which the next one cancels; there is one at a time, and none with other keys', async () => {
  const killed = startDrill(['--only', 'cut-worker', '--workers', '2'], beside)
  while (!(await standings())['ACTIVE']) await pause(50)
  const second = startDrill(['--workers', '2'], beside)
  expect(await second.ended).toBe(1)
  expect(second.output()).toMatch(
    /\nAnother drill is done on this database, or was killed in the last 15 s: wait until it is over\.\n$/,
  )
  killed.process.kill('SIGKILL')
  await killed.ended
  expect((await standings())['ACTIVE']).toBeGreaterThan(0)
  await ownerQuery('delete from sluice.locks')

  const stranger = startDrill(['--workers', '2'], { ...beside, SLUICE_AUDIT_KEY: 'x'.repeat(48) })
  expect(await stranger.ended).toBe(1)
  expect(stranger.output()).toContain('is not one to be written on: the others sign by another key. Give the drill the keys')

  const next = startDrill(['--only', 'kill-api', '--workers', '2'], beside)
  while (!next.output().includes('the API is killed')) await pause(50)
  next.process.kill('SIGINT')
  expect(await next.ended).toBe(130)
  expect(next.output()).toContain('Tidying up')
  expect(Object.keys(await standings()).toSorted()).toEqual(['CANCELED', 'SUCCEEDED'])
}, 300_000)
