/** The audit log as a feed: in the order of the chain, resumed exactly, whatever commits late; gaps that say why. */
import fc from 'fast-check'
import { afterEach, expect, test } from 'vitest'
import type { AuditFilter } from '../../src/audit/audit-filter.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { auditEntry, recordAudit } from '../../src/audit/record-audit.ts'
import type { AuditFacts } from '../../src/audit/record-audit.ts'
import { createSealedHead } from '../../src/audit/sealed-head.ts'
import { createSealer } from '../../src/audit/sealer.ts'
import { newUuid } from '../../src/ids.ts'
import { AUDIT_BELL, createAuditFeeds } from '../../src/live/audit-topic.ts'
import type { AuditFeedOrder } from '../../src/live/audit-topic.ts'
import { createFeeds } from '../../src/live/feeds.ts'
import type { Presentation } from '../../src/live/presentation.ts'
import type { AuditFrame } from '../../src/live/read-audit.ts'
import { createLog } from '../../src/log.ts'
import { settled } from '../audit/settled.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { Pulled } from '../harness/pulled-feeds.ts'
import { testDatabase } from '../harness/test-database.ts'
import { reader, steeredAccess } from './access.ts'
import { countedBus } from './counted-bus.ts'

const { database, ownerQuery } = await testDatabase({ entities: [AuditEvent] })
const log = createLog('silent')
const bus = countedBus()
const who = steeredAccess()
let time = Date.now()
const feeds = createFeeds<AuditFrame>({ bus, access: who.access, log, now: () => time })
const openFeed = createAuditFeeds({ database, feeds, mayReadAudit: ({ id }) => !who.blind.has(id) })
/** Frames as they are, without GraphQL. */
const AS_THEY_ARE: Presentation<AuditFrame> = {
  form: 'frames',
  render: async (frame) => ({ rendered: frame as AuditFrame, forViewer: false }),
}
type AuditFeed = Pulled<AuditFrame>
const sealer = createSealer({
  ...{ database, keys: auditKeys, log, head: createSealedHead(auditKeys) },
  onSealed: (position) => bus.ring(AUDIT_BELL, String(position)),
})

afterEach(async () => {
  await feeds.stop()
  expect(feeds.size).toBe(0)
  expect(bus.listeners()).toBe(0)
})

const entryOf = (facts: AuditFacts) => auditEntry({ origin: {}, services: { database, auditKeys } }, facts)

/** Written and sealed; the ids. */
async function audit(...facts: AuditFacts[]): Promise<string[]> {
  const entries = facts.map(entryOf)
  await database.transaction((em) => recordAudit(em, ...entries))
  await seal()
  return entries.map(({ id }) => id)
}

async function seal(): Promise<void> {
  await settled(database)
  await sealer.runOnce()
}

async function follow(order: AuditFeedOrder): Promise<AuditFeed> {
  const feed = await openFeed(order)
  return new Pulled<AuditFrame>((sink) => feed.follow(AS_THEY_ARE, sink))
}
const open = (filter: AuditFilter = {}, after?: string) =>
  follow({ principal: reader(), filter, ...(after !== undefined && { after }) })
const pull = async (feed: AuditFeed): Promise<AuditFrame> => (await feed.next()).value as AuditFrame
const ids = (frame: AuditFrame | undefined) => (frame && 'events' in frame ? frame.events.map(({ id }) => id) : undefined)

/** All ids from a cursor to the end of the log, and how many of them there were at each cursor. */
async function restOf(after: string): Promise<{ ids: string[]; places: { cursor: string; count: number }[] }> {
  const feed = await open({}, after)
  const [end] = await audit({ type: 'test.end' })
  const found: string[] = []
  const places = [{ cursor: after, count: 0 }]
  while (found.at(-1) !== end) {
    const frame = await pull(feed)
    found.push(...(ids(frame) ?? []))
    places.push({ cursor: frame.cursor, count: found.length })
  }
  await feed.return()
  return { ids: found, places }
}

test('a feed is a snapshot of the newest events, then what is sealed next, rung at once', async () => {
  const [first, second] = await audit({ type: 'test.one' }, { type: 'test.two' })
  const feed = await open()
  const snapshot = await pull(feed)
  expect(snapshot.kind).toBe('snapshot')
  expect(ids(snapshot)?.slice(-2)).toEqual([first, second])
  const next = pull(feed)
  const [third] = await audit({ type: 'test.three' })
  expect(await next).toMatchObject({ kind: 'delta', events: [{ id: third, type: 'test.three', severity: 'INFO' }] })
})

test('a lost ring costs no more than a sweep', async () => {
  const feed = await open()
  await pull(feed)
  const next = pull(feed)
  const entry = entryOf({ type: 'test.unrung' })
  await database.transaction((em) => recordAudit(em, entry))
  await settled(database)
  await createSealer({ database, keys: auditKeys, log, head: createSealedHead(auditKeys) }).runOnce()
  await feeds.sweep()
  expect(ids(await next)).toEqual([entry.id])
})

/** Time passes until there is one. */
async function nextHeartbeat(feed: AuditFeed): Promise<AuditFrame> {
  let come = false
  const next = pull(feed).finally(() => (come = true))
  while (!come) {
    time += 20_000
    await feeds.sweep()
  }
  const frame = await next
  expect(frame.kind).toBe('heartbeat')
  return frame
}

test('a filter leaves out what does not match, and its cursor moves on all the same', async () => {
  const feed = await open({ type: 'test.wanted' })
  const snapshot = await pull(feed)
  for (let round = 0; round < 3; round++) await audit({ type: 'test.other' }, { type: 'test.another' })
  let heartbeat = snapshot
  while (heartbeat.cursor === snapshot.cursor) heartbeat = await nextHeartbeat(feed)
  const [wanted] = await audit({ type: 'test.wanted' })
  expect(ids(await pull(feed))).toEqual([wanted])
  expect(ids(await pull(await open({ type: 'test.wanted' }, heartbeat.cursor)))).toEqual([wanted])
})

test('what commits late comes late, and is passed by nobody', async () => {
  const before = (await pull(await open())).cursor
  const [begun, held] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
  const [early, late] = [entryOf({ type: 'test.early' }), entryOf({ type: 'test.late' })]
  // it has its id and its place in time before the other, and commits after it
  const slow = database.transaction(async (em) => {
    await recordAudit(em, early)
    begun.resolve()
    await held.promise
  })
  await begun.promise
  await database.transaction((em) => recordAudit(em, late))
  await sealer.runOnce()
  const feed = await open({}, before)
  held.resolve()
  await slow
  await seal()
  const found: string[] = []
  while (found.length < 2) found.push(...(ids(await pull(feed)) ?? []))
  expect(found).toEqual([early.id, late.id])
})

test('however often it is cut off and wherever it resumes, a reader has each event once and in order', async () => {
  const start = (await pull(await open())).cursor
  const property = fc.asyncProperty(fc.array(fc.nat(4), { minLength: 1, maxLength: 6 }), fc.nat(), async (batches, cut) => {
    for (const size of batches) await audit(...Array.from({ length: size + 1 }, () => ({ type: 'test.batch' })))
    const whole = await restOf(start)
    const { cursor, count } = whole.places[cut % whole.places.length]!
    const tail = await restOf(cursor)
    expect([...whole.ids.slice(0, count), ...tail.ids.slice(0, -1)]).toEqual(whole.ids)
  })
  await fc.assert(property, { numRuns: 8 })
}, 60_000)

test('a cursor that is not ours is refused', async () => {
  for (const cursor of [
    '',
    'x',
    Buffer.from('1:5:zz').toString('base64url'),
    Buffer.from('1:05:0011223344556677').toString('base64url'),
  ]) {
    await expect(open({}, cursor)).rejects.toMatchObject({ code: 'BAD_CURSOR' })
  }
})

test('whose cursor belongs to another log, or is ahead of this one, is told of the restore and goes on', async () => {
  await audit({ type: 'test.kept' })
  const position = (await ownerQuery<{ position: number }>('select max(position)::int as position from sluice.audit_seals'))[0]!
    .position
  const strange = (at: number) => Buffer.from(`1:${at}:0011223344556677`).toString('base64url')
  for (const cursor of [strange(position), strange(position + 100)]) {
    const feed = await open({}, cursor)
    // cut off behind the gap, it would get both again
    expect(await pull(feed)).toMatchObject({ kind: 'gap', reason: 'RESTORED', cursor })
    expect(await pull(feed)).toMatchObject({ kind: 'snapshot' })
    const next = pull(feed)
    const [after] = await audit({ type: 'test.after' })
    expect(ids(await next)).toEqual([after])
    await feed.return()
  }
})

test('whoever is closed before the snapshot came resumes with one, also beside somebody who resumed', async () => {
  const [, last] = await audit({ type: 'test.shown' }, { type: 'test.shown' })
  const first = await open({ type: 'test.shown' })
  const { cursor } = await pull(first)
  await first.return()
  const [other, principal] = [await open({}, cursor), reader({ expiresAt: time })]
  who.fresh = () => new Promise(() => undefined)
  const waiting = await follow({ principal, filter: {} })
  await feeds.sweep()
  const closed = await pull(waiting)
  who.fresh = async () => undefined
  expect(closed).toMatchObject({ kind: 'closed', reason: 'TOKEN_EXPIRED' })
  const resumed = await open({}, closed.cursor)
  const shown = await pull(resumed)
  expect(shown.kind).toBe('snapshot')
  expect(ids(shown)).toContain(last)
  await Promise.all([waiting, other, resumed].map((feed) => feed.return()))
})

test('whoever is no administrator any more gets `closed`, and the feed completes (B11)', async () => {
  const principal = reader()
  const feed = await follow({ principal, filter: {} })
  await pull(feed)
  who.blind.add(principal.id)
  who.change(`user:${principal.id}`)
  expect(await pull(feed)).toMatchObject({ kind: 'closed', reason: 'ACCESS_REVOKED' })
  expect((await feed.next()).done).toBe(true)
  await expect(follow({ principal, filter: {} })).rejects.toMatchObject({ code: 'FORBIDDEN' })
})

test('retention that removed what a cursor was to go on with is a gap, then what is left', async () => {
  const start = (await pull(await open())).cursor
  await audit({ type: 'test.old', metadata: { n: newUuid() } })
  await audit({ type: 'test.old' })
  const [left] = await audit({ type: 'test.left' })
  await ownerQuery('alter table sluice.audit_seals disable trigger all')
  await ownerQuery('delete from sluice.audit_seals where position < (select max(position) from sluice.audit_seals)')
  const feed = await open({ type: 'test.left' }, start)
  expect(await pull(feed)).toMatchObject({ kind: 'gap', reason: 'RETENTION' })
  expect(await pull(feed)).toMatchObject({ kind: 'snapshot', events: [] })
  expect(ids(await pull(feed))).toEqual([left])
})
