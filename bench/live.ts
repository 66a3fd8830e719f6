/**
 * `npm run bench:live`: one event to many sockets, again and again: Sluice, plain yoga with graphql-ws, and a bare broadcast by ws, each in a
 * process of its own, in turn. Deliveries a second, from commit to receipt, CPU a delivery, memory a connection.
 * Options: --quick, --sockets=1000,5000, --rounds=3.
 */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Client } from 'pg'
import { executionTopic } from '../src/engine/engine.ts'
import { openDatabase } from '../src/database/database.ts'
import { Execution } from '../src/engine/entities/execution.ts'
import { createPostgresBus } from '../src/fleet/postgres-bus.ts'
import { encodeId, newUuid } from '../src/ids.ts'
import { createLog } from '../src/log.ts'
import { dataOf } from './live-frames.ts'
import type { ClientReply, LiveSystem, ServerReply } from './live-frames.ts'
import { median, quantile } from './report.ts'
import { startServer } from './server.ts'

/** one principal may hold 100 sockets */
const SOCKETS_EACH = 90
/** events under way at the same time */
const AHEAD = 4

const START = `
  insert into sluice.executions (id, flow_id, flow_version_id, initiator_id, status, last_event_at, state_bytes, steps_total, created_at, started_at)
  values ($1, $2, $2, $2, 'WAITING', now(), 2, 1, now(), now())`
const COMMIT = `
  with moved as (update sluice.executions set seq = seq + 1, version = version + 1, last_event_at = now() where id = $1 returning seq)
  insert into sluice.events (execution_id, seq, type, at, step, path, attempt, data)
  select $1, seq, 'step.started', now(), 'a', 'a', 1, $2::jsonb from moved returning seq`
const PEOPLE = `
  insert into sluice.users (id, email, handle, name, role, password_hash)
  select n, n || '@example.com', 'p' || replace(n::text, '-', ''), 'Somebody', 'ADMIN', u.password_hash
  from (select * from sluice.users where role = 'ADMIN' order by created_at limit 1) u, unnest($1::uuid[]) n
  returning email`

interface Figures {
  perSecond: number
  p50Ms: number
  p99Ms: number
  cpuUs: number
  kbEach: number
}

const { values: options } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, sockets: { type: 'string' }, rounds: { type: 'string' } },
})
const sizes = (options.sockets ?? (options.quick ? '1000' : '1000,5000')).split(',').map(Number)
const rounds = Number(options.rounds ?? (options.quick ? 2 : 3))
const seconds = options.quick ? 3 : 6
console.log(`${cpus().length} cores, load ${loadavg()[0]!.toFixed(1)} before it begins: other work makes these figures worse.`)

const server = await startServer()
const url = await server.makeDatabase('live', true)
const dataDir = await mkdtemp(join(tmpdir(), 'sluice-bench-'))
try {
  for (const sockets of sizes) {
    const figures: Record<LiveSystem, Figures[]> = { sluice: [], yoga: [], raw: [] }
    for (let round = 0; round < rounds; round++) {
      for (const system of ['raw', 'sluice', 'yoga'] as const) figures[system].push(await measure(system, sockets))
    }
    report(`${sockets} sockets on one execution`, figures)
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  await server.stop()
  await rm(dataDir, { recursive: true, force: true })
}

async function measure(system: LiveSystem, sockets: number): Promise<Figures> {
  const child = start('live-server.ts', [system], system === 'sluice' ? sluiceSettings() : {})
  const { ready } = await heard<ServerReply>(child, (answer) => answer.ready !== undefined)
  const clients = start('live-clients.ts', [], {})
  let publisher: Awaited<ReturnType<typeof openPublisher>> | undefined
  try {
    if (system === 'sluice') publisher = await openPublisher(ready!, sockets)
    const before = await usage(child)
    const { tokens = [''], id = 'none' } = publisher ?? {}
    clients.send({ sockets, url: ready!, tokens, ids: [id] })
    await heard<ClientReply>(clients, (answer) => answer.opened === true)
    // the snapshots are on their way
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    const opened = await usage(child)
    const publish = publisher?.publish ?? (async (seq: number) => void child.send({ publish: seq }))
    const latencies: number[] = []
    let seq = 0
    const one = async (): Promise<void> => {
      const mine = ++seq
      const all = heard<ClientReply>(clients, (answer) => answer.received?.seq === mine)
      await publish(mine)
      latencies.push(...(await all).received!.latenciesMs)
    }
    for (let at = 0; at < 3; at++) await one()
    latencies.length = 0
    const cpu = await usage(child)
    const began = performance.now()
    const until = began + seconds * 1_000
    const first = seq
    await Promise.all(
      Array.from({ length: AHEAD }, async () => {
        while (performance.now() < until) await one()
      }),
    )
    const elapsed = performance.now() - began
    const deliveries = (seq - first) * sockets
    const used = (await usage(child)).cpuMs - cpu.cpuMs
    return {
      perSecond: (deliveries / elapsed) * 1_000,
      ...{ p50Ms: quantile(latencies, 0.5), p99Ms: quantile(latencies, 0.99) },
      cpuUs: (used * 1_000) / deliveries,
      kbEach: (opened.rssBytes - before.rssBytes) / 1_024 / sockets,
    }
  } finally {
    clients.kill()
    await publisher?.close()
    const gone = once(child, 'exit')
    child.send('close')
    await gone
  }
}

function start(file: string, args: string[], env: Record<string, string>): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), args, {
    env: { ...process.env, ...env },
    execArgv: ['--expose-gc'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
}

async function usage(child: ChildProcess): Promise<NonNullable<ServerReply['usage']>> {
  const answered = heard<ServerReply>(child, (answer) => answer.usage !== undefined)
  child.send('usage')
  return (await answered).usage!
}

function heard<Reply extends { failed?: string }>(child: ChildProcess, isIt: (reply: Reply) => boolean): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const done = (settle: () => void): void => {
      child.off('message', listen).off('exit', gone)
      settle()
    }
    const listen = (reply: Reply): void => {
      if (reply.failed !== undefined) done(() => reject(new Error(reply.failed)))
      else if (isIt(reply)) done(() => resolve(reply))
    }
    const gone = (code: number | null): void => done(() => reject(new Error(`a process ended: ${code}`)))
    child.on('message', listen).on('exit', gone)
    child.setMaxListeners(100)
  })
}

function sluiceSettings(): Record<string, string> {
  return {
    ...{
      DATABASE_URL: url,
      DATABASE_OWNER_URL: server.ownerUrl('live'),
      SLUICE_DATA_DIR: dataDir,
      PORT: '0',
      NODE_ENV: 'development',
      SLUICE_ADMIN_PASSWORD: 'Bench-live-1',
    },
    ...{ SLUICE_LIMIT_API_PER_MINUTE: '1000000', SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '1000000' },
  }
}

/** Another process commits events to one execution and rings, as another node would; and has tokens for so many sockets. */
async function openPublisher(api: string, sockets: number) {
  const log = createLog('warn')
  const database = await openDatabase({ connection: url, entities: [Execution], poolSize: 4, log })
  const bus = createPostgresBus({ database, connection: url, log })
  await bus.listening()
  const admin = await server.connect('live')
  const executionId = newUuid()
  await admin.query(START, [executionId, newUuid()])
  const emails = await addPeople(admin, Math.ceil(sockets / SOCKETS_EACH))
  const tokens: string[] = []
  for (const email of emails) tokens.push(await signIn(api, email))
  return {
    tokens,
    id: encodeId('execution', executionId),
    /** Which number it gets is the database's affair: several are under way. */
    async publish() {
      const [event] = await database.query<{ seq: number }>(COMMIT, [executionId, JSON.stringify(dataOf(Date.now()))])
      bus.ring(executionTopic(executionId), String(event!.seq))
    },
    async close() {
      await bus.close()
      await admin.end()
      await database.close()
    },
  }
}

/** Administrators, who may see every execution, with the password of the first. */
async function addPeople(admin: Client, count: number): Promise<string[]> {
  const { rows } = await admin.query<{ email: string }>(PEOPLE, [Array.from({ length: count }, newUuid)])
  return rows.map(({ email }) => email)
}

async function signIn(api: string, email: string): Promise<string> {
  const query = 'mutation ($input: SignInInput!) { signIn(input: $input) { ... on SignInSuccess { accessToken } } }'
  const response = await fetch(`${api}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables: { input: { email, password: 'Bench-live-1' } } }),
  })
  const { data } = (await response.json()) as { data: { signIn: { accessToken: string } } }
  return data.signIn.accessToken
}

function report(title: string, figures: Record<LiveSystem, Figures[]>): void {
  const of = (system: LiveSystem): Figures => {
    const each = (pick: (one: Figures) => number): number => median(figures[system].map(pick))
    return {
      ...{ perSecond: each((one) => one.perSecond), p50Ms: each((one) => one.p50Ms), p99Ms: each((one) => one.p99Ms) },
      ...{ cpuUs: each((one) => one.cpuUs), kbEach: each((one) => one.kbEach) },
    }
  }
  console.log(`\n${title}; medians of ${rounds} rounds\n`)
  console.log(
    '| system | deliveries/s | p50 ms | p99 ms | µs CPU each | kB a socket |\n| --- | ---: | ---: | ---: | ---: | ---: |',
  )
  for (const system of ['sluice', 'yoga', 'raw'] as const) {
    const { perSecond, p50Ms, p99Ms, cpuUs, kbEach } = of(system)
    const cells = [perSecond.toFixed(0), p50Ms.toFixed(0), p99Ms.toFixed(0), cpuUs.toFixed(1), kbEach.toFixed(1)]
    console.log(`| ${system} | ${cells.join(' | ')} |`)
  }
  const [sluice, yoga, raw] = [of('sluice'), of('yoga'), of('raw')]
  console.log(
    `\n${(sluice.perSecond / yoga.perSecond).toFixed(1)} times plain yoga (4 aimed at), ${((100 * sluice.perSecond) / raw.perSecond).toFixed(0)} % of raw (85 aimed at).`,
  )
}
