/** The embedded PostgreSQL through the lives and deaths of the processes around it; each supervisor is a process of its own. */
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { afterAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { openCluster } from '../../src/database/postgres-cluster.ts'
import { isPostgres, waitUntilGone } from '../../src/database/postgres-process.ts'

/** One data directory for all: making the cluster is the slow part. Each test leaves the server stopped. */
const dataDir = await mkdtemp(join(tmpdir(), 'sluice-embedded-'))
afterAll(() => rm(dataDir, { recursive: true, force: true }))
// A start is a tenth of a second, but making a cluster on a busy machine can take several.
vi.setConfig({ testTimeout: 30_000 })

interface Said {
  pid: number
  appUrl: string
  superuserUrl: string
  refused?: string
}

interface Sluice extends Said {
  child: ChildProcess
  stop(): Promise<number | null>
  kill(): Promise<void>
}

async function startSluice(directory = dataDir): Promise<Sluice> {
  const child = fork(join(import.meta.dirname, 'embedded-process.ts'), [directory], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  })
  const exited = once(child, 'exit') as Promise<[number | null]>
  const [said] = (await Promise.race([once(child, 'message'), exited.then(() => [{ refused: 'it ended' }])])) as [Said]
  const stop = async (): Promise<number | null> => {
    child.kill('SIGTERM')
    return (await exited)[0]
  }
  onTestFinished(async () => {
    await stop()
    if (said.pid && (await isPostgres(said.pid))) process.kill(said.pid, 'SIGINT')
    if (said.pid) await waitUntilGone(said.pid, 5_000)
  })
  return {
    ...said,
    child,
    stop,
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

async function ask<Row extends object>(url: string, text: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    return (await client.query<Row>(text)).rows
  } finally {
    await client.end()
  }
}

async function killPostgres(pid: number): Promise<void> {
  process.kill(pid, 'SIGKILL')
  await waitUntilGone(pid, 5_000)
}

test('the first start makes a cluster that only its passwords open, on a private socket and no port', async () => {
  const sluice = await startSluice()
  const [app] = await ask<Record<string, unknown>>(
    sluice.appUrl,
    `select current_user as name, current_database() as database, rolsuper as super, rolcreatedb or rolcreaterole as makes,
       current_setting('listen_addresses') as addresses
     from pg_roles where rolname = current_user`,
  )
  expect(app).toMatchObject({ name: 'sluice_app', database: 'sluice', super: false, makes: false, addresses: '' })
  expect((await stat(socketDir(sluice))).mode & 0o777).toBe(0o700)
  expect((await stat(join(dataDir, 'postgres', 'data'))).mode & 0o777).toBe(0o700)
  expect((await stat(join(dataDir, 'postgres', 'passwords.json'))).mode & 0o777).toBe(0o600)
  await expect(ask(sluice.superuserUrl.replace(/:\w+@/, ':guess@'), 'select 1')).rejects.toThrow(/password authentication failed/)
  expect(await sluice.stop()).toBe(0)
  expect(await isPostgres(sluice.pid)).toBe(false)
})

test('no value that a statement carries reaches the log of PostgreSQL, also when it fails (C6, D1)', async () => {
  const sluice = await startSluice()
  const client = new Client({ connectionString: sluice.appUrl })
  await client.connect()
  const secret = 'correct-horse-battery'
  await client.query('select $1::text', [secret])
  const failing: [string, string[]][] = [
    ['select $1::uuid', [secret]],
    [`select '${secret}'::int`, []],
    [`select '${secret}' from`, []],
    [`do $$ begin raise exception '${secret}'; end $$`, []],
    [`do $$ begin raise warning '${secret}'; end $$`, []],
    [`set statement_timeout = 1; select pg_sleep(1), '${secret}'`, []],
  ]
  for (const [text, values] of failing) await client.query(text, values).catch(() => undefined)
  await client.end()
  await sluice.stop()
  expect(await readFile(join(dataDir, 'postgres', 'postgres.log'), 'utf8')).not.toContain(secret)
})

test('the role of the application makes nothing there, not even a large object (D1)', async () => {
  const sluice = await startSluice()
  for (const text of [
    'select lo_create(0)',
    'select lo_creat(-1)',
    `select lo_from_bytea(0, 'x')`,
    'create temporary table x (a int)',
  ]) {
    await expect(ask(sluice.appUrl, text)).rejects.toMatchObject({ code: '42501' })
  }
})

test('what was written is there after a stop and a start', async () => {
  const first = await startSluice()
  await ask(first.superuserUrl, 'create table if not exists kept (id int)')
  await ask(first.superuserUrl, 'insert into kept values (1)')
  await first.stop()
  const second = await startSluice()
  expect(second.pid).not.toBe(first.pid)
  expect(await ask(second.superuserUrl, 'select id from kept')).toContainEqual({ id: 1 })
})

test('data of another major version of PostgreSQL stay as they are, and it says what to do', async () => {
  const first = await startSluice()
  await ask(first.superuserUrl, 'create table if not exists kept (id int)')
  await first.stop()
  const version = join(dataDir, 'postgres', 'data', 'PG_VERSION')
  const own = await readFile(version, 'utf8')
  for (const [written, what] of [
    ['17', /written by PostgreSQL 17; this release brings 18, .* Start the release that wrote them, or bring them over/],
    ['19', /written by PostgreSQL 19; this release brings 18, .* Start the newer release that wrote them, or restore/],
  ] as const) {
    await writeFile(version, `${written}\n`)
    expect((await startSluice()).refused).toMatch(what)
  }
  await writeFile(version, own)
  const last = await startSluice()
  expect(await ask(last.superuserUrl, 'select id from kept')).toBeDefined()
})

test('a second sluice on the same data is refused and names the first', async () => {
  const first = await startSluice()
  const second = await startSluice()
  expect(second.refused).toBe(`another sluice is using this data directory, pid ${first.child.pid}`)
  expect(await ask(first.appUrl, 'select 1 as works')).toEqual([{ works: 1 }])
})

test('of three that start at once, one runs and the others are refused', async () => {
  const all = await Promise.all([startSluice(), startSluice(), startSluice()])
  const running = all.filter(({ refused }) => refused === undefined)
  expect(running).toHaveLength(1)
  const message = `another sluice is using this data directory, pid ${running[0]!.child.pid}`
  expect(all.flatMap(({ refused }) => refused ?? [])).toEqual([message, message])
})

describe('after kill -9', () => {
  test('of node, the next start adopts the server that runs on', async () => {
    const first = await startSluice()
    await first.kill()
    expect(await isPostgres(first.pid)).toBe(true)
    const second = await startSluice()
    expect(second).toMatchObject({ pid: first.pid, appUrl: first.appUrl })
    expect(await second.stop()).toBe(0)
    expect(await isPostgres(first.pid)).toBe(false)
  })

  test('of PostgreSQL, it is started again under the same address', async () => {
    const sluice = await startSluice()
    await killPostgres(sluice.pid)
    const works = (): Promise<object[]> => ask(sluice.appUrl, 'select 1 as works')
    expect(await vi.waitFor(works, { timeout: 20_000 })).toEqual([{ works: 1 }])
    expect(await sluice.stop()).toBe(0)
  })

  test('of PostgreSQL while it starts again, it is started once more', async () => {
    const sluice = await startSluice()
    let killed = sluice.pid
    for (let times = 0; times < 3; times++) {
      await killPostgres(killed)
      killed = await vi.waitFor(
        async () => {
          const pid = Number((await readFile(join(dataDir, 'postgres', 'data', 'postmaster.pid'), 'utf8')).split('\n')[0])
          expect(pid).not.toBe(killed)
          return pid
        },
        { timeout: 20_000, interval: 2 },
      )
    }
    const works = (): Promise<object[]> => ask(sluice.appUrl, 'select 1 as works')
    expect(await vi.waitFor(works, { timeout: 20_000 })).toEqual([{ works: 1 }])
    expect(await sluice.stop()).toBe(0)
  })

  test('of PostgreSQL while its disk is full, it is started again when there is room, and waited for meanwhile', async () => {
    const sluice = await startSluice()
    // it writes this file when it starts; here to a device that has no room
    const options = join(dataDir, 'postgres', 'data', 'postmaster.opts')
    await rm(options)
    await symlink('/dev/full', options)
    await killPostgres(sluice.pid)
    const second = await startSluice()
    expect(second.refused).toBe(`The disk of ${join(dataDir, 'postgres', 'data')} is full: free some space`)
    await rm(options)
    const works = (): Promise<object[]> => ask(sluice.appUrl, 'select 1 as works')
    expect(await vi.waitFor(works, { timeout: 20_000 })).toEqual([{ works: 1 }])
    expect(await sluice.stop()).toBe(0)
  })

  test('of a backend, the server recovers by itself and stays supervised', async () => {
    const sluice = await startSluice()
    const [backend] = await ask<{ pid: number }>(sluice.superuserUrl, 'select pg_backend_pid() as pid')
    const client = new Client({ connectionString: sluice.superuserUrl })
    client.on('error', () => undefined)
    await client.connect()
    const { rows } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    expect(rows[0]?.pid).not.toBe(backend?.pid)
    process.kill(rows[0]!.pid, 'SIGKILL')
    const guard = `select count(*)::int as guards from pg_stat_activity where application_name = 'sluice ${sluice.child.pid}'`
    await vi.waitFor(async () => expect(await ask(sluice.superuserUrl, guard)).toEqual([{ guards: 1 }]), { timeout: 20_000 })
    expect((await startSluice()).refused).toMatch(/another sluice is using this data directory/)
  })

  test('of both, the next start recovers what was committed', async () => {
    const first = await startSluice()
    await ask(first.superuserUrl, 'create table if not exists committed (id int)')
    await ask(first.superuserUrl, 'insert into committed values (7)')
    await first.kill()
    process.kill(first.pid, 'SIGKILL')
    const second = await startSluice()
    expect(second.refused).toBeUndefined()
    expect(await ask(second.superuserUrl, 'select id from committed')).toContainEqual({ id: 7 })
  })
})

test('a lock file whose pid belongs to another program now does not block the start', async () => {
  const first = await startSluice()
  const lockFile = join(dataDir, 'postgres', 'data', 'postmaster.pid')
  const lock = await readFile(lockFile, 'utf8')
  await first.stop()
  await writeFile(lockFile, lock.replace(`${first.pid}`, `${process.pid}`))
  const second = await startSluice()
  expect(second.refused).toBeUndefined()
})

test('what starts left behind that were killed is in the way of none that has their process id, as in a container', async () => {
  const home = join(dataDir, 'left', 'postgres')
  await mkdir(join(home, `data.${process.pid}`, 'base'), { recursive: true })
  await writeFile(join(home, `passwords.json.${process.pid}`), '')
  const { passwords, data } = await openCluster(join(dataDir, 'left'))
  expect(JSON.parse(await readFile(join(home, 'passwords.json'), 'utf8'))).toEqual(passwords)
  expect(await readFile(join(data, 'PG_VERSION'), 'utf8')).toBe('18\n')
})

test('a data directory with a path too long for a socket, and with spaces, works and leaves no socket behind', async () => {
  const long = join(dataDir, `a directory ${'x'.repeat(100)}`)
  const sluice = await startSluice(long)
  expect(await ask(sluice.appUrl, 'select 1 as works')).toEqual([{ works: 1 }])
  const left = socketDir(sluice)
  expect(left.startsWith(tmpdir())).toBe(true)
  await sluice.stop()
  await expect(stat(left)).rejects.toThrow('ENOENT')
})

function socketDir({ appUrl }: Said): string {
  return decodeURIComponent(/@([^:]+):/.exec(appUrl)![1]!)
}
