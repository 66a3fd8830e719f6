import { expect, onTestFinished, test, vi } from 'vitest'
import { createOverdueSweep } from '../../src/engine/overdue-sweep.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createPostgresBus } from '../../src/fleet/postgres-bus.ts'
import type { PostgresBus } from '../../src/fleet/postgres-bus.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { SCHEMA_LEVEL } from '../../src/release.ts'
import { readExecution, startFlow, storeFlow, unwrap } from '../harness/engine.ts'
import type { StoredExecution } from '../harness/engine.ts'
import { breaches } from '../harness/invariants.ts'
import { broken, isClaim, isCommit, isLoad, isLook, isRenewal } from '../harness/intercept-queries.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import type { SteeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database, connection } = await testDatabase()

const gated = { type: 'handler', handler: 'gated' } as const
const one = await storeFlow(database, { name: 'one', steps: { a: gated } })
const once = await storeFlow(database, { name: 'once', steps: { a: { ...gated, atMostOnce: true } } })
const short = await storeFlow(database, { name: 'short', timeout: 'PT0.3S', steps: { a: gated } })

const read = (id: string): Promise<StoredExecution> => readExecution(database, id)
const types = ({ events }: StoredExecution): string[] => events.map(({ type }) => type)
const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 5000, interval: 10 })
const hasStatus = (id: string, status: string): Promise<void> =>
  until(async () => expect(await read(id)).toMatchObject({ status }))
const sound = async (): Promise<void> => expect(await breaches(database, { atTheEnd: false })).toEqual([])

/** As if its process had been stopped for longer than the lease: others may take over, and it does not know. */
const expire = ({ engine }: SteeredEngine): Promise<unknown> =>
  database.query(`update sluice.workers set expires_at = now() - interval '1 second' where id = $1`, [engine.workerId])
const lookForWork = ({ engine }: SteeredEngine): Promise<void> => engine.worker.runOnce()

/** Renewals fail from now on. */
function cutLease(steered: SteeredEngine): void {
  steered.intercept = (text, send) => (isRenewal(text) ? Promise.reject(broken()) : send())
}

/** Commits wait until they are released; `came`: one does. */
function heldCommits(steered: SteeredEngine): { came: Promise<void>; release(): void } {
  const came = Promise.withResolvers<void>()
  const go = Promise.withResolvers<void>()
  steered.intercept = async (text, send) => {
    if (!isCommit(text)) return send()
    came.resolve()
    await go.promise
    return send()
  }
  return { came: came.promise, release: go.resolve }
}

async function postgresBus(): Promise<PostgresBus> {
  const bus = createPostgresBus({ database, connection, log: createLog('silent') })
  onTestFinished(() => bus.close())
  await bus.listening()
  return bus
}

test('an expired lease is taken over with the next epoch; what the first worker then says is late and changes nothing (D9)', async () => {
  const first = await steeredEngine(database)
  const id = await startFlow(first.engine, one)
  const slow = await first.run(1)
  const before = await read(id)
  const second = await steeredEngine(database)
  await expire(first)
  await lookForWork(second)
  const taken = await second.run(1)
  expect(taken).toMatchObject({ executionId: id, path: 'a', attempt: 1 })
  expect(await read(id)).toMatchObject({ owner: second.engine.workerId, epoch: before.epoch + 1 })

  slow.open({ from: 'the first' })
  await until(async () => expect(types(await read(id))).toContain('step.late'))
  expect((await read(id)).steps).toEqual([])
  taken.open({ from: 'the second' })
  await hasStatus(id, 'SUCCEEDED')
  expect(await read(id)).toMatchObject({ steps: [{ path: 'a', output: { from: 'the second' } }] })
  expect(types(await read(id)).filter((type) => type === 'step.succeeded').length).toBe(1)
  await sound()
})

test('what only a newer release can read is left to its workers, and fails neither by a claim nor by a visit', async () => {
  const ahead = await storeFlow(database, { name: 'ahead', steps: { a: gated } })
  const newer = await steeredEngine(database)
  const id = await startFlow(newer.engine, ahead)
  await newer.run(1)
  const readable = JSON.stringify({ name: 'ahead', steps: { a: gated } })
  const define = (definition: string, level: number): Promise<unknown> =>
    database.query('update sluice.flow_versions set definition = $1, level = $2 where id = $3', [
      ...[definition, level, ahead.flowVersionId],
    ])
  const kindOf = (kind: string): Promise<unknown> =>
    database.query(
      `update sluice.executions set in_flight = jsonb_set(in_flight, '{0,kind}', to_jsonb($1::text)), wake_at = null where id = $2`,
      [...[kind, id]],
    )

  await define(readable.replace('handler"', 'later"'), SCHEMA_LEVEL.level + 1)
  const older = await steeredEngine(database)
  await expire(newer)
  const isLeft = (): Promise<void> =>
    until(async () => {
      await lookForWork(older)
      const [row] = await database.query(
        'select status, owner, error, wake_at > now() as later from sluice.executions where id = $1',
        [id],
      )
      expect(row).toEqual({ status: 'RUNNING', owner: null, error: null, later: true })
    })
  await isLeft()
  await expect(older.engine.pause({ executionId: id, reason: 'x' })).rejects.toThrow(/newer release/)

  await define(readable, SCHEMA_LEVEL.level + 1)
  await kindOf('later')
  await isLeft()

  await kindOf('act')
  await database.query(
    `update sluice.executions set in_flight = jsonb_set(in_flight, '{0,notBefore}', '"later"'), wake_at = null where id = $1`,
    [id],
  )
  await isLeft()

  await database.query(`update sluice.executions set in_flight = in_flight #- '{0,notBefore}', wake_at = null where id = $1`, [
    id,
  ])
  await lookForWork(older)
  ;(await older.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('what is written by a newer release while a worker holds it is let go at once, and counts as no crash (D9)', async () => {
  const holder = await steeredEngine(database, { drainMs: 60_000 })
  const id = await startFlow(holder.engine, one)
  const running = await holder.run(1)
  const { epoch } = await read(id)
  // a step of a kind that only the newer release knows, begun by one of its visits
  await database.query(
    `update sluice.executions set version = version + 1, in_flight = in_flight || '[{"kind":"later","path":"b"}]' where id = $1`,
    [id],
  )
  holder.engine.worker.mailboxes.reload(id)
  await expect(holder.engine.pause({ executionId: id, reason: 'x' })).rejects.toThrow(/newer release/)
  await until(() => expect(running.signal.aborted).toBe(true))
  const [left] = await database.query('select owner, epoch, wake_at > now() as later from sluice.executions where id = $1', [id])
  expect(left).toEqual({ owner: null, epoch: epoch + 1, later: true })
  expect(holder.engine.worker.mailboxes.size).toBe(0)
  // nothing is left that it would wait for
  await holder.engine.stop()

  await database.query('update sluice.executions set in_flight = in_flight - 1, wake_at = now() where id = $1', [id])
  const newer = await steeredEngine(database)
  const taken = await newer.run(1)
  const [row] = await database.query('select in_flight from sluice.executions where id = $1', [id])
  expect(JSON.stringify(row)).not.toContain('"crashes":1')
  taken.open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('a look waits for nothing that cannot be stored, and tells it no second time (D9, A10)', async () => {
  const steered = await steeredEngine(database)
  const api = await steeredEngine(database, { enabled: false })
  const late = await startFlow(steered.engine, short)
  await steered.run(1)
  const told = vi.spyOn(steered.engine.worker.mailboxes, 'post')
  const held = heldCommits(steered)
  await held.came
  const ready = await startFlow(api.engine, one)
  await until(async () => expect(await read(ready)).toMatchObject({ owner: steered.engine.workerId }))
  await lookForWork(steered)
  expect(told.mock.calls.filter(([id]) => id === late)).toEqual([[late, { kind: 'tick' }]])
  held.release()
  await hasStatus(late, 'TIMED_OUT')
  ;(await steered.run(2)).open()
  await hasStatus(ready, 'SUCCEEDED')
  await sound()
})

test('deadlines that only a newer release can fire stand in front of no others, and are told of once (D9, A10)', async () => {
  const api = await steeredEngine(database, { enabled: false })
  const stuck = await Promise.all(Array.from({ length: 120 }, () => startFlow(api.engine, one)))
  // nobody here claims them
  await database.query(
    `update sluice.executions set pool = 'later', in_flight = '[{"kind":"later"}]', deadline_at = now() - interval '1 minute'
     where id = any($1::uuid[])`,
    [stuck],
  )
  const lines: string[] = []
  let loads = 0
  let looks = 0
  const steered = await steeredEngine(
    database,
    { log: createLog('warn', { write: (line) => void lines.push(line) }) },
    (each) => {
      each.intercept = (text, send, params) => {
        if (isLoad(text) && stuck.includes((params[0] as string[])[0]!)) loads += 1
        looks += isLook(text) ? 1 : 0
        return send()
      }
    },
  )
  const id = await startFlow(steered.engine, short)
  await hasStatus(id, 'TIMED_OUT')
  expect(loads).toBe(stuck.length)
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    'what is due could not be decided on, trying again',
  ])
  // what cannot be fired is not looked for all the time
  looks = 0
  const began = performance.now()
  await until(() => expect(performance.now() - began).toBeGreaterThan(500))
  expect(looks).toBeLessThan(3)
  await database.query(`update sluice.executions set in_flight = '[]', deadline_at = null where id = any($1::uuid[])`, [stuck])
})

test('what only a newer release can move on in pools that nobody serves is passed over, for longer each time (A10)', async () => {
  const api = await steeredEngine(database, { enabled: false })
  const ids = await Promise.all(Array.from({ length: 121 }, () => startFlow(api.engine, one)))
  const [last] = ids
  await database.query(
    `update sluice.executions set pool = 'later', wake_at = now() - interval '1 minute' * case when id = $2 then 1 else 2 end
     where id = any($1::uuid[])`,
    [ids, last],
  )
  let ticked: string[] = []
  const tick = (id: string): Promise<void> => {
    ticked.push(id)
    return id === last ? Promise.resolve() : Promise.reject(broken())
  }
  let at = 0
  const sweep = createOverdueSweep({ database, pools: ['default'], tick, log: createLog('silent'), monotonic: () => at })
  const round = async (seconds: number): Promise<string[]> => {
    ticked = []
    at = seconds * 1000
    await sweep.fireElsewhere()
    return ticked.toSorted()
  }
  const first = await round(1)
  expect(first).toHaveLength(100)
  expect([...first, ...(await round(2))].toSorted()).toEqual(ids.toSorted())
  expect(await round(2.5)).toEqual([])
  // two seconds after the first time, then four
  expect(await round(3)).toEqual(expect.arrayContaining(first))
  expect(await round(6)).not.toEqual(expect.arrayContaining([first[0]]))
  expect(await round(7)).toEqual(expect.arrayContaining([first[0]]))
  await database.query('update sluice.executions set wake_at = null where id = any($1::uuid[])', [ids])
})

test('a deadline fires on a node that does not hold the execution, and an outcome after the end is kept apart (D9, A5)', async () => {
  const holder = await steeredEngine(database)
  // the holder itself does not look
  holder.intercept = (text, send) => (text.includes('where deadline_at <= now()') ? Promise.resolve([]) : send())
  const id = await startFlow(holder.engine, short)
  const slow = await holder.run(1)
  const { epoch } = await read(id)
  await steeredEngine(database)
  await hasStatus(id, 'TIMED_OUT')
  const before = await read(id)
  expect(before).toMatchObject({ epoch: epoch + 1, owner: null, error: { code: 'FLOW_TIMEOUT' } })
  slow.open({ n: 1 })
  await until(async () =>
    expect(await database.query('select path, attempt, outcome from sluice.late_outcomes where execution_id = $1', [id])).toEqual(
      [{ path: 'a', attempt: 1, outcome: { output: { n: 1 } } }],
    ),
  )
  expect(await read(id)).toEqual(before)
  await sound()
})

test('a worker that cannot renew its lease stops what it runs in time, holds nothing, and launches nothing (D9)', async () => {
  const leaseMs = 500
  const first = await steeredEngine(database, { leaseMs })
  const id = await startFlow(first.engine, one)
  const running = await first.run(1)
  const cutAt = performance.now()
  cutLease(first)
  await until(() => expect(running.signal.aborted).toBe(true))
  expect(performance.now() - cutAt).toBeLessThan(leaseMs)
  const later = await startFlow(first.engine, one)
  expect(await read(later)).toMatchObject({ status: 'PENDING', owner: null })
  await lookForWork(first)
  expect(first.runs.length).toBe(1)
  expect(first.engine.worker.mailboxes.size).toBe(0)

  const second = await steeredEngine(database)
  for (const n of [1, 2]) (await second.run(n)).open()
  await hasStatus(id, 'SUCCEEDED')
  await hasStatus(later, 'SUCCEEDED')
  await sound()
})

test('a worker whose lease is over does not look for work all the time', async () => {
  const bus = createLocalBus(createLog('silent'))
  const steered = await steeredEngine(database, { leaseMs: 200, bus })
  const sleeper = await storeFlow(database, { name: 'sleeper', steps: { a: { type: 'wait', duration: 'PT1.1S' } } })
  await startFlow(steered.engine, sleeper)
  let looks = 0
  steered.intercept = (text, send) => {
    if (isRenewal(text)) return Promise.reject(broken())
    looks += isLook(text) ? 1 : 0
    return send()
  }
  await until(() => expect(steered.engine.worker.world().adopt).toBe(false))
  await database.query('update sluice.executions set wake_at = now() where wake_at is not null')
  bus.ring('work')
  const began = performance.now()
  await until(() => expect(performance.now() - began).toBeGreaterThan(500))
  expect(looks).toBeGreaterThan(0)
  expect(looks).toBeLessThan(10)
})

test('a worker stops although the database is away, and what it held is taken over', async () => {
  const first = await steeredEngine(database, { leaseMs: 500 })
  const id = await startFlow(first.engine, one)
  await first.run(1)
  first.intercept = () => Promise.reject(broken())
  await first.engine.stop()
  const second = await steeredEngine(database)
  ;(await second.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
})

test('a worker whose lease comes back before anybody took over runs again what it had stopped (D9)', async () => {
  const steered = await steeredEngine(database, { leaseMs: 300 })
  const id = await startFlow(steered.engine, one)
  const stopped = await steered.run(1)
  cutLease(steered)
  await until(() => expect(stopped.signal.aborted).toBe(true))
  steered.intercept = undefined
  const again = await steered.run(2)
  expect(again).toMatchObject({ executionId: id, path: 'a', attempt: 1 })
  again.open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('a worker whose renewals are answered late forgets nothing of what it stores meanwhile (D9)', async () => {
  const leaseMs = 500
  const steered = await steeredEngine(database, { leaseMs })
  const nap = { type: 'wait', duration: 'PT0.2S', after: ['a'] }
  const id = await startFlow(steered.engine, await storeFlow(database, { name: 'late', steps: { a: gated, nap } }))
  await steered.run(1)
  let renewals = 0
  const stored = Promise.withResolvers<void>()
  steered.intercept = async (text, send) => {
    const rows = await send()
    if (isRenewal(text) && ++renewals === 1) await new Promise((resolve) => setTimeout(resolve, leaseMs * 0.44))
    if (isRenewal(text) && renewals > 1) await stored.promise
    return rows
  }
  await until(() => expect(renewals).toBe(2))
  await until(() => expect(steered.engine.worker.holdsLease).toBe(false))
  const [first] = steered.runs
  first!.open()
  await until(async () => expect(first!.signal.aborted || types(await read(id)).includes('step.succeeded')).toBe(true))
  stored.resolve()
  steered.intercept = undefined
  await until(async () => {
    for (const { open } of steered.runs) open()
    expect(await read(id)).toMatchObject({ status: 'SUCCEEDED' })
  })
  await sound()
})

/** The lease is lost, and comes back, while the commit of what `a` came to is on its way. */
async function lostWhileCommitting() {
  const steered = await steeredEngine(database, { leaseMs: 300 })
  const steps = { a: gated, b: { ...gated, after: ['a'] } }
  const id = await startFlow(steered.engine, await storeFlow(database, { name: newUuid(), steps }))
  const a = await steered.run(1)
  const { epoch } = await read(id)
  const held = heldCommits(steered)
  const holding = steered.intercept!
  a.open()
  await held.came
  steered.intercept = (text, send, params) => (isRenewal(text) ? Promise.reject(broken()) : holding(text, send, params))
  await until(() => expect(steered.engine.worker.holdsLease).toBe(false))
  steered.intercept = holding
  await until(() => expect(steered.engine.worker.holdsLease).toBe(true))
  return {
    commitGoes: held.release,
    // nobody holds it here any more: as if from another
    isTakenBack: () => until(async () => expect(await read(id)).toMatchObject({ epoch: epoch + 1 })),
    async ranToTheEnd() {
      await until(async () => {
        for (const { open } of steered.runs) open()
        expect(await read(id)).toMatchObject({ status: 'SUCCEEDED' })
      })
      await sound()
      return steered.runs.map(({ path }) => path)
    },
  }
}

test('what is stored when the lease has come back, and was decided before it was lost, is launched once (D9)', async () => {
  const lost = await lostWhileCommitting()
  lost.commitGoes()
  await lost.isTakenBack()
  expect(await lost.ranToTheEnd()).toEqual(['a', 'b'])
})

test('what is taken back while a commit from before is on its way stays with who took it back (D9)', async () => {
  const lost = await lostWhileCommitting()
  await lost.isTakenBack()
  lost.commitGoes()
  expect(await lost.ranToTheEnd()).toEqual(['a', 'b'])
})

test('a step that may run at most once is not run again when the lease comes back, whoever tells its execution something then (D9)', async () => {
  const steered = await steeredEngine(database, { leaseMs: 300 })
  const id = await startFlow(steered.engine, once)
  const stopped = await steered.run(1)
  cutLease(steered)
  await until(() => expect(stopped.signal.aborted).toBe(true))
  steered.intercept = undefined
  await until(() => expect(steered.engine.worker.holdsLease).toBe(true))
  const idempotency = { principalId: newUuid(), key: 'go', inputHash: Buffer.from('go') }
  unwrap(await steered.engine.signal({ executionId: id, name: 'go', data: 1, bytes: 1, sentBy: 'user_x', idempotency }))
  await hasStatus(id, 'FAILED')
  expect(await read(id)).toMatchObject({ error: { code: 'OUTCOME_UNKNOWN', step: 'a' } })
  expect(steered.runs.length).toBe(1)
  await sound()
})

test('what a worker stores after its lease was found to be over is taken over too', async () => {
  const first = await steeredEngine(database)
  const second = await steeredEngine(database)
  const mayGo = Promise.withResolvers<void>()
  const sent = Promise.withResolvers<void>()
  first.intercept = async (text, send) => {
    if (isRenewal(text)) throw broken()
    if (isCommit(text)) sent.resolve()
    if (isCommit(text)) await mayGo.promise
    return send()
  }
  const started = startFlow(first.engine, one)
  await sent.promise
  await expire(first)
  await lookForWork(second)
  mayGo.resolve()
  const id = await started
  expect(await read(id)).toMatchObject({ owner: first.engine.workerId })
  const taken = await second.run(1)
  expect(taken.executionId).toBe(id)
  taken.open()
  await hasStatus(id, 'SUCCEEDED')
})

test('a draining worker hands back what still runs, and that counts as no crash (D9)', async () => {
  const first = await steeredEngine(database)
  const id = await startFlow(first.engine, one)
  await first.run(1)
  await first.engine.stop()
  expect(await read(id)).toMatchObject({ status: 'RUNNING', owner: null })
  const [row] = await database.query<{ in_flight: unknown }>('select in_flight from sluice.executions where id = $1', [id])
  expect(row!.in_flight).toEqual([expect.objectContaining({ kind: 'act', path: 'a', attempt: 1, epoch: 0 })])
  expect(JSON.stringify(row)).not.toContain('crashes')
  const second = await steeredEngine(database)
  ;(await second.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  expect(types(await read(id))).toEqual(['execution.started', 'step.started', 'step.succeeded', 'execution.succeeded'])
  await sound()
})

test('a draining worker lets what ends in time end, and begins nothing after it', async () => {
  const chain = await storeFlow(database, { name: 'chain', steps: { a: gated, b: { ...gated, after: ['a'] } } })
  const first = await steeredEngine(database, { drainMs: 5000 })
  const id = await startFlow(first.engine, chain)
  const running = await first.run(1)
  const stopped = first.engine.stop()
  await until(() => expect(first.engine.worker.world().adopt).toBe(false))
  running.open({ n: 1 })
  await stopped
  expect(first.runs.length).toBe(1)
  expect(await read(id)).toMatchObject({ owner: null, status: 'RUNNING', steps: [{ path: 'a', output: { n: 1 } }] })
  const second = await steeredEngine(database)
  ;(await second.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('a step whose launch was being committed when its worker began to drain runs there, to its end, and nowhere else (D9)', async () => {
  const chain = await storeFlow(database, {
    name: 'chain to the end',
    steps: { a: gated, b: { ...gated, after: ['a'] }, c: { ...gated, after: ['b'] } },
  })
  const first = await steeredEngine(database, { drainMs: 5000 })
  const second = await steeredEngine(database)
  const id = await startFlow(first.engine, chain)
  const a = await first.run(1)
  const held = heldCommits(first)
  a.open()
  await held.came
  const posts = vi.spyOn(first.engine.worker.mailboxes, 'post')
  const stopped = first.engine.stop()
  // it has asked what of its executions runs
  await until(() => expect(posts).toHaveBeenCalled())
  held.release()
  ;(await first.run(2)).open()
  await stopped
  await lookForWork(second)
  ;(await second.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  expect([...first.runs, ...second.runs].map(({ path }) => path)).toEqual(['a', 'b', 'c'])
  await sound()
})

test('of parallel steps that end while their worker drains, none sets off another there (D9)', async () => {
  const flow = await storeFlow(database, {
    name: 'beside a long one',
    steps: { a: gated, b: { ...gated, after: ['a'] }, long: gated },
  })
  const first = await steeredEngine(database, { drainMs: 5000 })
  const second = await steeredEngine(database)
  const id = await startFlow(first.engine, flow)
  await first.run(2)
  const [a, long] = first.runs.toSorted((x, y) => (x.path < y.path ? -1 : 1))
  const stopped = first.engine.stop()
  await until(() => expect(first.engine.worker.world().adopt).toBe(false))
  a!.open()
  await until(async () => expect((await read(id)).steps).toHaveLength(1))
  expect(await read(id)).toMatchObject({ owner: first.engine.workerId })
  long!.open()
  await stopped
  await lookForWork(second)
  ;(await second.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  expect(first.runs).toHaveLength(2)
  expect(second.runs.map(({ path }) => path)).toEqual(['b'])
  await sound()
})

test('a hand-back that comes late takes nothing from who holds the execution by then (D9)', async () => {
  const first = await steeredEngine(database)
  const id = await startFlow(first.engine, once)
  await first.run(1)
  const chain = await startFlow(first.engine, one)
  await first.run(2)
  const second = await steeredEngine(database)
  await expire(first)
  await lookForWork(second)
  const taken = await second.run(1)
  expect(taken.executionId).toBe(chain)
  await hasStatus(id, 'FAILED')
  const posted = await first.engine.worker.mailboxes.post(chain, { kind: 'handBack' })
  expect(posted.result).toBe('late')
  expect(await read(chain)).toMatchObject({ owner: second.engine.workerId, status: 'RUNNING' })
  taken.open()
  await hasStatus(chain, 'SUCCEEDED')
  await sound()
})

test('after one crash what was in flight goes on together, after another each in its turn alone (D9)', async () => {
  const three = { a: gated, b: gated, c: gated }
  const flow = await storeFlow(database, { name: 'three at once', steps: three })
  const started = await steeredEngine(database)
  const id = await startFlow(started.engine, flow)
  await started.run(3)
  const second = await steeredEngine(database)
  await expire(started)
  await lookForWork(second)
  await second.run(3)
  const third = await steeredEngine(database)
  await expire(second)
  await lookForWork(third)
  for (const n of [1, 2, 3]) {
    const alone = await third.run(n)
    expect(third.runs).toHaveLength(n)
    alone.open()
  }
  await hasStatus(id, 'SUCCEEDED')
  const isolated = (await read(id)).events.filter(({ type }) => type === 'step.isolated')
  expect(isolated).toHaveLength(3)
})

test('cancel through a node that does not hold the execution reaches the holder at once over the bus (A10)', async () => {
  // with this lease the next heartbeat is far away
  const holder = await steeredEngine(database, { leaseMs: 60_000, fenceMs: 10_000, bus: await postgresBus() })
  const other = await steeredEngine(database, { bus: await postgresBus(), fenceMs: 10_000 })
  const id = await startFlow(holder.engine, one)
  const running = await holder.run(1)
  running.signal.addEventListener('abort', () => running.open())
  const asked = performance.now()
  unwrap(await other.engine.cancel({ executionId: id, reason: 'enough' }))
  await hasStatus(id, 'CANCELED')
  expect(performance.now() - asked).toBeLessThan(1500)
  expect(await read(id)).toMatchObject({ reason: 'enough', steps: [{ path: 'a', status: 'CANCELED' }] })
  await sound()
})

test('without the bus, cancel reaches the holder at its next heartbeat (A10)', async () => {
  const holder = await steeredEngine(database, { leaseMs: 900, fenceMs: 10_000 })
  const other = await steeredEngine(database, { fenceMs: 10_000 })
  const id = await startFlow(holder.engine, one)
  const running = await holder.run(1)
  running.signal.addEventListener('abort', () => running.open())
  unwrap(await other.engine.cancel({ executionId: id, reason: 'enough' }))
  await hasStatus(id, 'CANCELED')
  await sound()
})

test('a canceled step that does not stop is left behind at the fence (A10)', async () => {
  const holder = await steeredEngine(database, { fenceMs: 300 })
  const id = await startFlow(holder.engine, one)
  const running = await holder.run(1)
  unwrap(await holder.engine.cancel({ executionId: id, reason: 'enough' }))
  expect(await read(id)).toMatchObject({ status: 'RUNNING' })
  await until(() => expect(running.signal.aborted).toBe(true))
  await hasStatus(id, 'CANCELED')
  await sound()
})

test('what another node answers is gone on with at once by the holder, over the bus', async () => {
  const flow = await storeFlow(database, {
    name: 'beside',
    steps: { beside: gated, ask: { type: 'agent', role: 'ceo', subject: '?', request: {} }, then: { ...gated, after: ['ask'] } },
  })
  const holder = await steeredEngine(database, { leaseMs: 60_000, bus: await postgresBus() })
  const api = await steeredEngine(database, { enabled: false, bus: await postgresBus() })
  const id = await startFlow(holder.engine, flow)
  const beside = await holder.run(1)
  const [request] = await database.query<{ id: string }>('select id from sluice.agent_requests where execution_id = $1', [id])
  const order = { requestId: request!.id, executionId: id, decision: 'APPROVE', data: null, answeredBy: newUuid() } as const
  unwrap(await api.engine.answer(order))
  const then = await holder.run(2)
  expect(then).toMatchObject({ executionId: id, path: 'then' })
  then.open()
  beside.open()
  await hasStatus(id, 'SUCCEEDED')
  expect(holder.runs.length).toBe(2)
  await sound()
})

test('an outcome that meets a change by another node is decided again, and its step does not run again (A5)', async () => {
  const holder = await steeredEngine(database)
  const api = await steeredEngine(database, { enabled: false })
  const id = await startFlow(holder.engine, one)
  const running = await holder.run(1)
  unwrap(await api.engine.pause({ executionId: id, reason: 'wait' }))
  // the holder does not know of the pause yet
  running.open({ n: 1 })
  await hasStatus(id, 'PAUSED')
  unwrap(await api.engine.resume({ executionId: id }))
  await hasStatus(id, 'SUCCEEDED')
  expect(holder.runs.length).toBe(1)
  await sound()
})

test('a step that may run at most once keeps its outcome when another node changes the execution meanwhile (A5)', async () => {
  const holder = await steeredEngine(database)
  const api = await steeredEngine(database, { enabled: false })
  const id = await startFlow(holder.engine, once)
  const running = await holder.run(1)
  unwrap(await api.engine.pause({ executionId: id }))
  running.open({ n: 1 })
  unwrap(await api.engine.resume({ executionId: id }))
  await hasStatus(id, 'SUCCEEDED')
  expect(holder.runs.length).toBe(1)
  expect(await read(id)).toMatchObject({ steps: [{ output: { n: 1 } }] })
})

test('what was claimed without learning of it is not forgotten when it is told something meanwhile (D9)', async () => {
  const api = await steeredEngine(database, { enabled: false })
  const id = await startFlow(api.engine, one)
  let claims = 0
  const steered = await steeredEngine(database, { leaseMs: 60_000 }, (each) => {
    each.intercept = async (text, send) => {
      const rows = await send()
      if (isClaim(text) && ++claims === 1) throw broken()
      return rows
    }
  })
  await until(async () => expect(await read(id)).toMatchObject({ owner: steered.engine.workerId }))
  const idempotency = { principalId: newUuid(), key: 'go', inputHash: Buffer.from('go') }
  unwrap(await steered.engine.signal({ executionId: id, name: 'go', data: 1, bytes: 1, sentBy: 'user_x', idempotency }))
  ;(await steered.run(1)).open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})
