import { expect, onTestFinished, test, vi } from 'vitest'
import { createCommitter } from '../../src/engine/commit.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { readExecution, startFlow, startOrder, storeFlow, unwrap } from '../harness/engine.ts'
import type { StoredExecution } from '../harness/engine.ts'
import { broken, interceptQueries, isClaim, isCommit, isLoad, isReadBack } from '../harness/intercept-queries.ts'
import type { Interceptor } from '../harness/intercept-queries.ts'
import { breaches } from '../harness/invariants.ts'
import { steeredEngine } from '../harness/steered-engine.ts'
import type { SteeredEngine } from '../harness/steered-engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()
const gated = { type: 'handler', handler: 'gated' } as const
const one = await storeFlow(database, { name: 'one', steps: { a: gated } })
const asking = await storeFlow(database, {
  name: 'asking',
  steps: { a: { type: 'agent', role: 'ceo', subject: '?', request: {} } },
})

const read = (id: string): Promise<StoredExecution> => readExecution(database, id)
const types = ({ events }: StoredExecution): string[] => events.map(({ type }) => type)
const until = <T>(check: () => T | Promise<T>): Promise<T> => vi.waitFor(check, { timeout: 8000, interval: 10 })
const hasStatus = (id: string, status: string): Promise<void> =>
  until(async () => expect(await read(id)).toMatchObject({ status }))
const sound = async (): Promise<void> => expect(await breaches(database, { atTheEnd: false })).toEqual([])

/** The next statement of the kind is done, but nobody learns of it. */
function loseAnswer(steered: SteeredEngine, isKind: (text: string) => boolean, alsoFails?: (text: string) => boolean): void {
  let left = 1
  let toFail = alsoFails ? 2 : 0
  steered.intercept = async (text, send) => {
    if (left === 0 && alsoFails?.(text) && toFail-- > 0) throw broken()
    if (left === 0 || !isKind(text)) return send()
    left = 0
    await send()
    throw broken()
  }
}

test('a commit whose acknowledgement is lost is found by reading back, and not done twice (A5)', async () => {
  const steered = await steeredEngine(database)
  const id = await startFlow(steered.engine, one)
  const running = await steered.run(1)
  loseAnswer(steered, isCommit)
  running.open({ n: 1 })
  await hasStatus(id, 'SUCCEEDED')
  expect(types(await read(id))).toEqual(['execution.started', 'step.started', 'step.succeeded', 'execution.succeeded'])
  expect(await read(id)).toMatchObject({ version: 2 })
  await sound()
})

test('a commit that failed before it was done is done by the next try', async () => {
  const steered = await steeredEngine(database)
  const id = await startFlow(steered.engine, one)
  const running = await steered.run(1)
  let failures = 2
  steered.intercept = (text, send) => (isCommit(text) && failures-- > 0 ? Promise.reject(broken('57P01')) : send())
  running.open({ n: 1 })
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('a start whose acknowledgement is lost is one execution, and its caller gets its id (E1)', async () => {
  const steered = await steeredEngine(database)
  const order = await startOrder(steered.engine, one)
  loseAnswer(steered, isCommit)
  const { executionId } = unwrap(await steered.engine.start(order))
  ;(await steered.run(1)).open()
  await hasStatus(executionId, 'SUCCEEDED')
  const rows = await database.query('select id from sluice.executions where initiator_id = $1', [order.initiatorId])
  expect(rows).toEqual([{ id: executionId }])
  await sound()
})

test('a start is one execution also when the database stays away after the lost acknowledgement, at the limit too (E1, A8)', async () => {
  const steered = await steeredEngine(database)
  const idempotency = { principalId: newUuid(), key: 'k', inputHash: Buffer.alloc(32, 1) }
  const order = await startOrder(steered.engine, one, {}, { runningLimit: 1, idempotency })
  loseAnswer(steered, isCommit, isReadBack)
  const { executionId } = unwrap(await steered.engine.start(order))
  expect(unwrap(await steered.engine.start(order))).toEqual({ executionId, replayed: true })
  ;(await steered.run(1)).open()
  await hasStatus(executionId, 'SUCCEEDED')
  expect(types(await read(executionId)).length).toBe(4)
  await sound()
})

test('an answer whose acknowledgement is lost is told as given, once (A6)', async () => {
  const steered = await steeredEngine(database)
  const id = await startFlow(steered.engine, asking)
  const [request] = await database.query<{ id: string }>('select id from sluice.agent_requests where execution_id = $1', [id])
  loseAnswer(steered, isCommit)
  const order = { requestId: request!.id, executionId: id, decision: 'APPROVE', data: 1, answeredBy: newUuid() } as const
  expect(await steered.engine.answer(order)).toEqual({ requestId: request!.id, replayed: false })
  expect(types(await read(id)).filter((type) => type === 'agent.answered').length).toBe(1)
  await sound()
})

test('what was claimed without learning of it is begun at the next heartbeats, not forgotten', async () => {
  const api = await steeredEngine(database, { enabled: false })
  const id = await startFlow(api.engine, one)
  const losing = await steeredEngine(database, { leaseMs: 600 }, (each) => loseAnswer(each, isClaim))
  const begun = await losing.run(1)
  expect(begun.executionId).toBe(id)
  begun.open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('what was claimed but could not be read is begun at the next heartbeats, not forgotten', async () => {
  const api = await steeredEngine(database, { enabled: false })
  const id = await startFlow(api.engine, one)
  let failures = 1
  const steered = await steeredEngine(database, { leaseMs: 600 }, (each) => {
    each.intercept = (text, send) => (isLoad(text) && failures-- > 0 ? Promise.reject(broken()) : send())
  })
  const begun = await steered.run(1)
  expect(begun.executionId).toBe(id)
  begun.open()
  await hasStatus(id, 'SUCCEEDED')
  await sound()
})

test('an outcome is not lost when its execution cannot be read again at that moment', async () => {
  const steered = await steeredEngine(database, { leaseMs: 60_000 })
  const api = await steeredEngine(database, { enabled: false })
  const id = await startFlow(steered.engine, one)
  const running = await steered.run(1)
  unwrap(await api.engine.pause({ executionId: id }))
  unwrap(await api.engine.resume({ executionId: id }))
  // the outcome meets another version, and the reload fails
  let failures = 2
  steered.intercept = (text, send) => (isLoad(text) && failures-- > 0 ? Promise.reject(broken()) : send())
  running.open({ n: 1 })
  await hasStatus(id, 'SUCCEEDED')
  expect(steered.runs.length).toBe(1)
  await sound()
})

test('the server ends all connections again and again: everything finishes, once', async () => {
  const steered = await steeredEngine(database, { leaseMs: 5000 })
  const quick = { type: 'handler', handler: 'quick' }
  const chain = await storeFlow(database, {
    name: 'chain',
    steps: Object.fromEntries(
      Array.from({ length: 20 }, (_, i) => [`s${i}`, { ...quick, ...(i > 0 && { after: [`s${i - 1}`] }) }]),
    ),
  })
  const order = await startOrder(steered.engine, chain)
  const starting = Array.from({ length: 50 }, () => steered.engine.start(order))
  for (let round = 0; round < 5; round++) {
    await database
      .query(
        `select pg_terminate_backend(pid) from pg_stat_activity
         where pid <> pg_backend_pid() and usename = current_user and datname = current_database()`,
      )
      .catch(() => {})
    await steered.engine.worker.runOnce().catch(() => {})
  }
  const ids = (await Promise.all(starting)).map((started) => unwrap(started).executionId)
  expect(new Set(ids).size).toBe(50)
  await until(async () => expect(await database.query('select id from sluice.executions where ended_at is null')).toEqual([]))
  for (const id of ids) expect(await read(id)).toMatchObject({ status: 'SUCCEEDED', seq: 42 })
  await sound()
})

test('while nothing can be stored, callers are told after a while; what must not be lost waits until it can (A3)', async () => {
  let isFull = true
  const intercepted = interceptQueries(database, (text, send) =>
    isFull && isCommit(text) ? Promise.reject(broken('53100')) : send(),
  )
  const committer = createCommitter(intercepted, createLog('silent'), { urgentMs: 30 })
  const submit = (urgent: boolean) =>
    committer.submit({
      ...{ executionId: newUuid(), kind: 'update', mark: 1, rows: {}, urgent },
      from: { version: 1, epoch: 1 },
    })
  const outcome = submit(false)
  const asked = [submit(true), submit(true)]
  for (const each of asked) await expect(each).rejects.toMatchObject({ code: 'UNAVAILABLE', cause: { code: '53100' } })
  expect(committer.failingMs).toBeGreaterThan(30)
  expect(committer.waiting.items).toBe(1)
  isFull = false
  expect(await outcome).toEqual({ kind: 'committed' })
  expect(committer.failingMs).toBe(0)
  isFull = true
  await expect(submit(true)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  // nobody is left to find out that it works again: a balancer that is told "not ready" lets nobody through
  expect(committer.failingMs).toBe(0)
  await committer.close()
})

/** Updates by a committer of the test's own, of an execution that waits. */
async function ownCommits(intercept: Interceptor, urgentMs?: number) {
  const { engine } = await steeredEngine(database)
  const id = await startFlow(engine, asking)
  const committer = createCommitter(interceptQueries(database, intercept), createLog('silent'), urgentMs ? { urgentMs } : {})
  onTestFinished(() => committer.close())
  const [row] = await database.query<Record<'version' | 'epoch' | 'mark', number>>(
    'select version, epoch, mark from sluice.executions where id = $1',
    [id],
  )
  const from = { version: Number(row!.version), epoch: Number(row!.epoch) }
  const submit = (mark = Number(row!.mark)) =>
    committer.submit({ executionId: id, kind: 'update', mark, rows: {}, urgent: true, from })
  return { id, committer, submit }
}

test('a lost answer that is found stored is the end of the trouble', async () => {
  const held = Promise.withResolvers<void>()
  const tries: string[] = []
  const { committer, submit } = await ownCommits(async (text, send) => {
    if (!isCommit(text)) return send()
    if (tries.push(text) === 1) throw broken()
    await held.promise
    return send()
  })
  expect(await submit()).toEqual({ kind: 'committed' })
  const next = submit(7)
  await until(() => expect(tries).toHaveLength(2))
  expect(committer.failingMs).toBe(0)
  held.resolve()
  expect(await next).toEqual({ kind: 'committed' })
})

test('a connection that breaks while it is asked what became of a start that is there already costs a try, and no more', async () => {
  const failures = [broken('23505'), broken('08006')]
  const { submit } = await ownCommits((text, send) => {
    const fails = isCommit(text) ? failures.length === 2 : isReadBack(text) && failures.length === 1
    return fails ? Promise.reject(failures.shift()!) : send()
  })
  expect(await submit()).toEqual({ kind: 'committed' })
  expect(failures).toEqual([])
})

test('while somebody holds the row of an execution it is tried now and then, and its caller is told after a while', async () => {
  let isHeld = true
  let tries = 0
  const { id, submit } = await ownCommits(async (text, send) => {
    if (!isCommit(text) || !isHeld) return send()
    tries += 1
    return [{ at: Date.now(), refused: [{ id, verdict: 'skipped' }] }]
  }, 300)
  await expect(submit()).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  expect(tries).toBeLessThan(20)
  isHeld = false
  expect(await submit()).toEqual({ kind: 'committed' })
})

test('a worker of a database that stores nothing ends all the same (D9)', async () => {
  const steered = await steeredEngine(database, { leaseMs: 500, drainMs: 20 })
  const id = await startFlow(steered.engine, asking)
  const tried = Promise.withResolvers<void>()
  steered.intercept = (text, send) => {
    if (!isCommit(text)) return send()
    tried.resolve()
    return Promise.reject(broken('53100'))
  }
  await database.query('update sluice.executions set deadline_at = now() where id = $1', [id])
  await tried.promise
  await steered.engine.stop()
  expect(await read(id)).toMatchObject({ status: 'WAITING' })
})
