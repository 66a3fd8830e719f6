/** One feed on a real database: its frames in order, its end, its closing, and what it costs. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, expect, onTestFinished, test } from 'vitest'
import type { Database } from '../../src/database/database.ts'
import { executionTopic } from '../../src/engine/engine.ts'
import { Execution } from '../../src/engine/entities/execution.ts'
import { newUuid } from '../../src/ids.ts'
import { decodeFeedCursor, encodeFeedCursor } from '../../src/live/cursor.ts'
import type { ExecutionFeedOrder } from '../../src/live/execution-topic.ts'
import type { ExecutionFrame } from '../../src/live/frames.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from '../harness/test-database.ts'
import { FLOW, masks, reader, steeredAccess } from './access.ts'
import { countedBus } from './counted-bus.ts'
import { commitEvents, feedCursors, startExecution } from './history.ts'
import { pulledFeeds } from '../harness/pulled-feeds.ts'
import type { PulledFeed } from '../harness/pulled-feeds.ts'

const { database, ownerQuery } = await testDatabase({ entities: [Execution] })
let cursorAt = await feedCursors(database)
const bus = countedBus()
let statements = 0
const counted: Database = { ...database, query: (text, params) => ((statements += 1), database.query(text, params)) }
let time = Date.now()
const who = steeredAccess()
const settings = {
  database: counted,
  bus,
  masks,
  access: who.access,
  whoMaySee: who.whoMaySee,
  log: createLog('silent'),
  now: () => time,
}
const feeds = pulledFeeds(settings)

afterEach(async () => {
  await feeds.stop()
  expect(feeds.size).toBe(0)
  expect(bus.listeners()).toBe(0)
})

const open = (executionId: string, more: Partial<ExecutionFeedOrder> = {}) =>
  feeds.openExecutionFeed({ executionId, principal: reader(), ...more })

async function pull(feed: PulledFeed): Promise<ExecutionFrame | undefined> {
  return (await feed.next()).value
}

async function rest(feed: PulledFeed): Promise<ExecutionFrame[]> {
  const frames: ExecutionFrame[] = []
  for await (const frame of feed) frames.push(frame)
  return frames
}

const seqs = (frame: ExecutionFrame | undefined) => (frame?.kind === 'delta' ? frame.events.map(({ seq }) => seq) : undefined)

/** Resolves to 'waiting' when the promise has not settled by the time that everything queued before has run. */
const settledNow = (promise: Promise<unknown>) => Promise.race([promise, new Promise((done) => setImmediate(done, 'waiting'))])

async function commitAndRing(id: string, count: number, ends = false): Promise<void> {
  bus.ring(executionTopic(id), String(await commitEvents(database, id, count, ends)))
}

test('a feed is a snapshot, then deltas as things happen, then the end, and completes', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 2)
  const feed = await open(id)
  expect(await pull(feed)).toMatchObject({
    kind: 'snapshot',
    cursor: cursorAt(id, 2),
    execution: { id, status: 'RUNNING' },
  })
  const next = pull(feed)
  expect(await settledNow(next)).toBe('waiting')
  await commitAndRing(id, 1)
  expect(await next).toMatchObject({ kind: 'delta', cursor: cursorAt(id, 3), events: [{ seq: 3, data: { n: 3 } }] })
  await commitAndRing(id, 2, true)
  const [delta, end, ...more] = await rest(feed)
  expect(delta).toMatchObject({ kind: 'delta', events: [{ seq: 4 }, { seq: 5 }], execution: { status: 'SUCCEEDED', seq: 5 } })
  expect(end).toMatchObject({ kind: 'end', reason: 'FINISHED', cursor: delta?.cursor, execution: { status: 'SUCCEEDED' } })
  expect(more).toEqual([])
  expect(await feed.next()).toEqual({ done: true, value: undefined })
})

test('a delta has at most 500 events', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 1_203, true)
  const frames = await rest(await open(id, { after: cursorAt(id, 0) }))
  expect(frames.map((frame) => seqs(frame)?.length)).toEqual([500, 500, 203, undefined])
  expect(frames.flatMap((frame) => seqs(frame) ?? [])).toEqual(Array.from({ length: 1_203 }, (_, index) => index + 1))
})

test('a cursor resumes with later events only, also after the end', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 4, true)
  expect((await rest(await open(id, { after: cursorAt(id, 3) }))).map(({ kind }) => kind)).toEqual(['delta', 'end'])
  const atTheEnd = await rest(await open(id, { after: cursorAt(id, 4) }))
  expect(atTheEnd).toMatchObject([{ kind: 'end', reason: 'FINISHED', cursor: cursorAt(id, 4) }])
})

test('a bad cursor, an unknown execution and one that may not be seen are refused before anything starts', async () => {
  const [id, other] = [await startExecution(database), newUuid()]
  for (const after of ['', 'x', cursorAt(other, 1)]) {
    await expect(open(id, { after })).rejects.toMatchObject({ code: 'BAD_CURSOR' })
  }
  const blind = reader()
  who.blind.add(blind.id)
  await expect(open(id, { principal: blind })).rejects.toMatchObject({ code: 'NOT_FOUND' })
})

test('events that retention removed are a gap, then a snapshot that says where the feed goes on', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 6, true)
  await ownerQuery('delete from sluice.events where execution_id = $1 and seq <= 4', [id])
  const [gap, snapshot, delta, end] = await rest(await open(id, { after: cursorAt(id, 1) }))
  expect(gap).toMatchObject({ kind: 'gap', reason: 'RETENTION', cursor: cursorAt(id, 1) })
  expect(snapshot).toMatchObject({ kind: 'snapshot', cursor: cursorAt(id, 4) })
  expect(seqs(delta)).toEqual([5, 6])
  expect(end?.kind).toBe('end')
})

test('a cursor beyond what exists is a gap, then a snapshot', async () => {
  const id = await startExecution(database)
  const feed = await open(id, { after: cursorAt(id, 9) })
  expect(await pull(feed)).toMatchObject({ kind: 'gap', reason: 'RESTORED', cursor: cursorAt(id, 9) })
  expect(await pull(feed)).toMatchObject({ kind: 'snapshot', cursor: cursorAt(id, 0) })
})

test('a cursor of another installation is a gap, though its place is passed again here; a cursor of before that named none resumes', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 5)
  const foreign = encodeFeedCursor(id, { seq: 3, epoch: '0123456789ab' })
  for (const conflates of [false, true]) {
    const feed = await open(id, { after: foreign, conflates })
    expect(await pull(feed)).toMatchObject({ kind: 'gap', reason: 'RESTORED', cursor: foreign })
    expect(await pull(feed)).toMatchObject({ kind: 'snapshot', cursor: cursorAt(id, 5), execution: { seq: 5 } })
    await feed.return()
  }
  const old = await open(id, { after: encodeFeedCursor(id, { seq: 3, epoch: undefined }) })
  expect(await pull(old)).toMatchObject({ kind: 'delta', cursor: cursorAt(id, 5), events: [{ seq: 4 }, { seq: 5 }] })
})

test('a database that is restored under whoever follows it is a gap for them within a sweep, wherever they were', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 2)
  const [live, behind] = [await open(id), await open(id)]
  for (const feed of [live, behind]) expect(await pull(feed)).toMatchObject({ kind: 'snapshot', cursor: cursorAt(id, 2) })
  await ownerQuery('update sluice.installation set id = gen_random_uuid()')
  onTestFinished(async () => void (cursorAt = await feedCursors(database)))
  const cursorThere = await feedCursors(database)
  await feeds.sweep()
  for (const feed of [live, behind]) {
    expect(await pull(feed)).toMatchObject({ kind: 'gap', reason: 'RESTORED', cursor: cursorAt(id, 2) })
    expect(await pull(feed)).toMatchObject({ kind: 'snapshot', cursor: cursorThere(id, 2) })
  }
  // whoever comes back only now joins them
  const late = await open(id, { after: cursorAt(id, 1) })
  expect(await pull(late)).toMatchObject({ kind: 'gap', reason: 'RESTORED', cursor: cursorAt(id, 1) })
  expect(await pull(late)).toMatchObject({ kind: 'snapshot' })
  await commitAndRing(id, 1)
  for (const feed of [live, behind, late])
    expect(await pull(feed)).toMatchObject({ kind: 'delta', cursor: cursorThere(id, 3), events: [{ seq: 3 }] })
})

test('a lost ring costs until the next sweep, and one statement for all feeds', async () => {
  const ids = [await startExecution(database), await startExecution(database), await startExecution(database)]
  const open3 = await Promise.all(ids.map((id) => open(id)))
  await Promise.all(open3.map(pull))
  const next = open3.map(pull)
  for (const id of ids) await commitEvents(database, id, 1)
  expect(await settledNow(Promise.any(next))).toBe('waiting')
  await feeds.sweep()
  expect((await Promise.all(next)).map(seqs)).toEqual([[1], [1], [1]])
  statements = 0
  await feeds.sweep()
  expect(statements).toBe(1)
})

test('the loop sweeps by itself until it is stopped', async () => {
  const quick = pulledFeeds({ ...settings, sweepMs: 1 })
  const id = await startExecution(database)
  const feed = await quick.openExecutionFeed({ executionId: id, principal: reader() })
  await pull(feed)
  quick.start()
  await commitEvents(database, id, 1)
  expect(seqs(await pull(feed))).toEqual([1])
  await quick.stop()
  expect(quick.size).toBe(0)
})

test('a doubled, late or unreadable ring gives no frame', async () => {
  const id = await startExecution(database)
  const feed = await open(id)
  await pull(feed)
  await commitAndRing(id, 2)
  expect(seqs(await pull(feed))).toEqual([1, 2])
  const next = pull(feed)
  for (const payload of ['2', '1', undefined, 'nonsense', '99']) bus.ring(executionTopic(id), payload)
  expect(await settledNow(next)).toBe('waiting')
  await commitAndRing(id, 1)
  expect(seqs(await next)).toEqual([3])
})

test('a heartbeat comes when nothing else did for 15 s, and again 15 s later', async () => {
  const id = await startExecution(database)
  const feed = await open(id)
  const snapshot = await pull(feed)
  const next = pull(feed)
  time += 14_999
  await feeds.sweep()
  expect(await settledNow(next)).toBe('waiting')
  time += 1
  await feeds.sweep()
  expect(await next).toEqual({ kind: 'heartbeat', cursor: snapshot?.cursor, serverTime: new Date(time) })
  const again = pull(feed)
  await feeds.sweep()
  expect(await settledNow(again)).toBe('waiting')
  time += 15_000
  await feeds.sweep()
  expect((await again)?.kind).toBe('heartbeat')
})

test('leaving while nothing happens ends the feed at once, and nobody listens any more', async () => {
  const id = await startExecution(database)
  const [feed, other] = [await open(id), await open(id)]
  await pull(feed)
  const next = [feed.next(), feed.next()]
  expect(await settledNow(next[0]!)).toBe('waiting')
  expect(bus.listeners()).toBe(1)
  expect(await feed.return()).toEqual({ done: true, value: undefined })
  expect(await Promise.all(next)).toEqual([
    { done: true, value: undefined },
    { done: true, value: undefined },
  ])
  expect(bus.listeners()).toBe(1)
  await other.return()
  expect(bus.listeners()).toBe(0)
})

test('several pulls at once are answered in order, each frame once', async () => {
  const id = await startExecution(database)
  await commitEvents(database, id, 1_001, true)
  const feed = await open(id, { after: cursorAt(id, 0) })
  const frames = await Promise.all([feed.next(), feed.next(), feed.next(), feed.next(), feed.next()])
  expect(frames.map(({ value }) => value?.kind)).toEqual(['delta', 'delta', 'delta', 'end', undefined])
})

test('10,000 events at a reader that takes a frame now and then: few statements, flat memory, and nothing is lost', async () => {
  const id = await startExecution(database)
  const feed = await open(id)
  await pull(feed)
  statements = 0
  const before = heapUsed()
  const taken: ExecutionFrame[] = []
  for (let round = 0; round < 100; round += 1) {
    const seq = await commitEvents(database, id, 100)
    for (let ring = 0; ring < 100; ring += 1) bus.ring(executionTopic(id), String(seq))
    if (round % 10 === 0) await feeds.sweep()
    if (round % 25 === 24) taken.push((await pull(feed))!)
    if (round % 25 === 24) expect(heapUsed() - before).toBeLessThan(4_000_000)
  }
  // ten sweeps; for each frame that is pulled, what waits behind it, and what was read while it was not known yet that nobody pulls
  expect(statements).toBeLessThanOrEqual(25)
  await commitAndRing(id, 1, true)
  const frames = [...taken, ...(await rest(feed))]
  expect(frames.length).toBeLessThan(27)
  expect(frames.flatMap((frame) => seqs(frame) ?? [])).toEqual(Array.from({ length: 10_001 }, (_, index) => index + 1))
  for (const frame of frames)
    expect('execution' in frame && frame.execution.seq).toBeGreaterThanOrEqual(decodeFeedCursor(frame.cursor, id).seq)
})

test('a hundred feeds of one execution share its listener and its reads', async () => {
  const id = await startExecution(database)
  statements = 0
  const hundred = await Promise.all(Array.from({ length: 100 }, () => open(id)))
  expect(bus.listeners()).toBe(1)
  await Promise.all(hundred.map(pull))
  expect(statements).toBe(1)
  const next = hundred.map(pull)
  await commitAndRing(id, 3)
  expect(new Set((await Promise.all(next)).map((frame) => seqs(frame)?.join()))).toEqual(new Set(['1,2,3']))
  expect(statements).toBe(2)
})

test('a ring that comes while a read is under way is not lost, nor answered by that read', async () => {
  const gates: (() => void)[] = []
  const query: Database['query'] = async (text, params) => {
    const rows = await database.query(text, params)
    await new Promise<void>((open) => gates.push(open))
    return rows as never
  }
  const gated = pulledFeeds({ ...settings, database: { ...database, query } })
  const id = await startExecution(database)
  const order = {
    executionId: id,
    principal: reader(),
    after: cursorAt(id, 0),
  }
  const reads = (count: number) => expect.poll(() => gates.length, { interval: 1 }).toBe(count)

  const early = await gated.openExecutionFeed(order)
  const first = pull(early)
  await reads(1)
  const rung = new Promise<void>((heard) => {
    const unlisten = bus.listen(executionTopic(id), () => (unlisten(), heard()))
  })
  await commitAndRing(id, 1)
  await rung
  const late = await gated.openExecutionFeed(order)
  const second = pull(late)
  await reads(2)
  gates[0]!()
  gates[1]!()
  expect(seqs(await second)).toEqual([1])
  await reads(3)
  gates[2]!()
  expect(seqs(await first)).toEqual([1])
  await gated.stop()
})

test('draining sends `closed` without completing, and new feeds are refused', async () => {
  const draining = pulledFeeds(settings)
  const id = await startExecution(database)
  const order = { executionId: id, principal: reader() }
  const [feed, left] = [await draining.openExecutionFeed(order), await draining.openExecutionFeed(order)]
  const snapshot = await pull(feed)
  const next = pull(feed)
  const drained = draining.drain(0)
  expect(await next).toEqual({ kind: 'closed', cursor: snapshot?.cursor, reason: 'DRAINING' })
  await left.return()
  const after = feed.next()
  await drained
  expect(await settledNow(after)).toBe('waiting')
  await expect(draining.openExecutionFeed(order)).rejects.toMatchObject({ code: 'UNAVAILABLE' })
  await feed.return()
  expect((await after).done).toBe(true)
})

test('a token near its end sends `closed` without completing; what was not sent comes after a resume (B11)', async () => {
  const id = await startExecution(database)
  const feed = await open(id, { principal: reader({ expiresAt: time + 60_000 }) })
  const snapshot = await pull(feed)
  await commitAndRing(id, 2)
  time += 58_000
  await feeds.sweep()
  expect(await pull(feed)).toEqual({ kind: 'closed', cursor: snapshot?.cursor, reason: 'TOKEN_EXPIRED' })
  const after = feed.next()
  await commitAndRing(id, 1)
  await feeds.sweep()
  expect(await settledNow(after)).toBe('waiting')
  expect(bus.listeners()).toBe(0)
  await feed.return()
  expect(seqs(await pull(await open(id, { after: snapshot!.cursor })))).toEqual([1, 2, 3])
})

test('who may not see the execution any more gets `closed` instead of its events, and the feed completes (B11)', async () => {
  const id = await startExecution(database)
  const principal = reader()
  const feed = await open(id, { principal })
  const snapshot = await pull(feed)
  who.blind.add(principal.id)
  who.change(`flow:${FLOW}`)
  await commitAndRing(id, 1)
  expect(await rest(feed)).toEqual([{ kind: 'closed', cursor: snapshot?.cursor, reason: 'ACCESS_REVOKED' }])
})

test("a session's end closes its feeds at once, while nothing happens, and no others (B11)", async () => {
  const id = await startExecution(database)
  const principal = reader()
  const [mine, elsewhere, theirs] = [
    await open(id, { principal }),
    await open(id, { principal: { ...principal, sessionId: newUuid() } }),
    await open(id),
  ]
  await Promise.all([mine, elsewhere, theirs].map(pull))
  const closed = rest(mine)
  who.over.add(principal.sessionId)
  who.questions = []
  who.change(`session:${principal.sessionId}`)
  expect(await closed).toMatchObject([{ kind: 'closed', reason: 'ACCESS_REVOKED' }])
  expect(who.questions).toEqual([1])
  await commitAndRing(id, 1)
  expect(await Promise.all([elsewhere, theirs].map(async (feed) => seqs(await pull(feed))))).toEqual([[1], [1]])
})

test('a change of a flow asks once for all who follow its executions; those who still may see go on (B4)', async () => {
  const ids = [await startExecution(database), await startExecution(database)]
  const unshared = reader()
  const open10 = await Promise.all(
    Array.from({ length: 10 }, (_, n) => open(ids[n % 2]!, n === 3 ? { principal: unshared } : {})),
  )
  await Promise.all(open10.map(pull))
  who.blind.add(unshared.id)
  who.questions = []
  who.change(`flow:${FLOW}`)
  for (const id of ids) await commitAndRing(id, 1)
  const next = await Promise.all(open10.map(pull))
  expect(next.map((frame) => (frame?.kind === 'closed' ? frame.reason : seqs(frame)))).toEqual(
    Array.from({ length: 10 }, (_, n) => (n === 3 ? 'ACCESS_REVOKED' : [1])),
  )
  expect(who.questions).toEqual([10])
})

test('while nobody can tell who may see it, no event goes out; afterwards none is missing (B11)', async () => {
  const id = await startExecution(database)
  const principal = reader()
  const feed = await open(id, { principal })
  await pull(feed)
  who.broken = true
  who.change(`user:${principal.id}`)
  await commitAndRing(id, 2)
  const next = pull(feed)
  await feeds.sweep()
  expect(await settledNow(next)).toBe('waiting')
  who.broken = false
  await feeds.sweep()
  expect(seqs(await next)).toEqual([1, 2])

  const known = Promise.withResolvers<void>()
  who.fresh = () => known.promise
  await commitAndRing(id, 1)
  const later = pull(feed)
  expect(await settledNow(later)).toBe('waiting')
  known.resolve()
  expect(seqs(await later)).toEqual([3])
})

test('an execution that is deleted closes its feeds', async () => {
  const id = await startExecution(database)
  const feed = await open(id)
  await pull(feed)
  const frames = rest(feed)
  await ownerQuery('delete from sluice.executions where id = $1', [id])
  await feeds.sweep()
  expect(await frames).toMatchObject([{ kind: 'closed', reason: 'ACCESS_REVOKED' }])
})

test('a feed outlives a database that does not answer for a while, and ends with its error after 30 s', async () => {
  let broken = false
  let underWay = 0
  const query: Database['query'] = (text, params) => {
    underWay += 1
    const asked = broken && text.includes('sluice.events') ? database.query('select 1 / 0') : database.query(text, params)
    return asked.finally(() => (underWay -= 1)) as never
  }
  // no heartbeat comes between
  const shaky = pulledFeeds({ ...settings, heartbeatMs: 3_600_000, database: { ...database, query } })
  const id = await startExecution(database)
  const feed = await shaky.openExecutionFeed({ executionId: id, principal: reader() })
  await pull(feed)
  const next = pull(feed)
  broken = true
  await commitAndRing(id, 2)
  await shaky.sweep()
  broken = false
  await shaky.sweep()
  expect(seqs(await next)).toEqual([1, 2])

  await expect.poll(() => underWay).toBe(0)
  broken = true
  const failed = expect(feed.next()).rejects.toMatchObject({ code: '22012' })
  await commitAndRing(id, 1)
  await shaky.sweep()
  expect(shaky.size).toBe(1)
  for (let sweeps = 0; sweeps < 100 && shaky.size > 0; sweeps += 1) {
    time += 10_000
    await shaky.sweep()
  }
  await failed
})

function heapUsed(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}
