/**
 * Changes of who may do what: written in the transaction of the change, and known to every process within a second.
 *
 * Each process polls. What it keeps in memory for permission is good only while the last good poll is young; otherwise it waits
 * for the next one, so that a process that cannot see changes lets nobody in. The bus only makes it faster.
 */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn, tellAfterCommit } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { Fault } from '../errors.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'

/**
 * What changed; `flow` stands for its grants, its visibility and its owner. The rest is a UUID; but of `rights` it is a grantee, for
 * whom something changed on some flow.
 */
export type AuthSubject = `${'user' | 'session' | 'key' | 'link' | 'flow' | 'rights'}:${string}`

/** Whoever has rights on some flow: nobody knows whose have changed. */
export const ANY_RIGHTS: AuthSubject = 'rights:*'

/** EVERYTHING: what changed is not known, since this process could not look for too long. */
export type Changed = ReadonlySet<string> | 'EVERYTHING'
export type AuthListener = (changed: Changed) => void

/** Whether something that stands on these is affected. */
export const isAffected = (changed: Changed, subjects: readonly AuthSubject[]): boolean =>
  changed === 'EVERYTHING' || subjects.some((subject) => changed.has(subject))

export interface AuthChanges {
  /** Resolves at once while everything older than 900 ms is known here, else after the next good poll. Throws UNAVAILABLE after 5 s. */
  fresh(): Promise<void>
  /** Whether a change of one of these came since `since` (`performance.now()`): an answer that was asked for then may be too old. */
  changedSince(subjects: readonly AuthSubject[], since: number): boolean
  /** Each change is told at least once, nearly always once; those of this process before the transaction that made them resolves. */
  onAuthChange(listener: AuthListener): () => void
  /** One poll; for tests, and what the loop does. Never rejects. */
  runOnce(): Promise<void>
  start(): void
  stop(): Promise<void>
}

const TOPIC = 'auth'
const POLL_MS = 250
const FRESH_MS = 900
const LONGEST_WAIT_MS = 5_000
/** Twice as long as a transaction may last: what was written before a poll is seen by it or by one within this time. */
const OVERLAP = `interval '10 seconds'`
/** A process that could not poll for longer takes everything to be changed. */
const KEPT = `interval '10 minutes'`
const CLEAN_EVERY_MS = 60_000
const CLEAN_ROWS = 1_000
/** How long `changedSince` remembers: longer than any statement may take. */
const REMEMBERED_MS = 60_000

/** Writes that these changed, in `em`'s transaction: to be called by whatever changes a grant, a role, a user, a session, a key or a link. */
export async function recordAuthChange(em: EntityManager, ...subjects: AuthSubject[]): Promise<void> {
  if (subjects.length > 0) await record(em, subjects, null)
}

/** The same of a flow. `concerned`: the grantees (`user:<uuid>`, `role:USER`, `agent:ceo`, `everyone`) whose rights on it may be others now. */
export async function recordFlowChange(em: EntityManager, flowId: string, concerned: readonly string[]): Promise<void> {
  await record(em, [`flow:${flowId}`], concerned)
}

async function record(em: EntityManager, subjects: readonly string[], concerned: readonly string[] | null): Promise<void> {
  const rows = await queryIn<Change>(em, RECORD, [subjects, concerned])
  tellAfterCommit(
    em,
    TOPIC,
    rows.map((row) => JSON.stringify(row)),
  )
}

/** A row. */
interface Change {
  readonly id: number
  readonly subject: string
  readonly concerned: readonly string[] | null
}

function subjectsIn({ subject, concerned }: Change): string[] {
  if (!subject.startsWith('flow:')) return [subject]
  return [subject, ...(concerned?.map((grantee) => `rights:${grantee}`) ?? [ANY_RIGHTS])]
}

export interface AuthChangesOptions {
  readonly database: Pick<Database, 'query' | 'onCommitted'>
  readonly bus: Bus
  readonly log: Logger
  /** ms, `performance.now` outside of tests */
  readonly monotonic?: () => number
  /** how long `fresh` waits, 5,000 */
  readonly longestWaitMs?: number
}

export function createAuthChanges(options: AuthChangesOptions): AuthChanges {
  const { database, bus, log, monotonic = () => performance.now(), longestWaitMs = LONGEST_WAIT_MS } = options
  const listeners = new Set<AuthListener>()
  const changedAt = new Map<string, number>()
  /** what the last poll saw: those that it sees again are not news */
  let seen = new Set<number>()
  /** what was told when it was committed here, and no poll has seen yet */
  const toldHere = new Set<number>()
  /** PostgreSQL's time at the last good poll */
  let lastTime: string | null = null
  /** this process's time at the start of the last good poll */
  let asOf = Number.NEGATIVE_INFINITY
  let everythingChangedAt = Number.NEGATIVE_INFINITY
  let cleanedAt = monotonic()
  let polling: Promise<void> | undefined
  let again = false
  let timer: NodeJS.Timeout | undefined
  const unlisten: (() => void)[] = []
  const trouble = createTrouble({ log, message: 'auth changes could not be read', over: 'auth changes are read again' })

  function apply(news: 'EVERYTHING' | readonly Change[]): void {
    const now = monotonic()
    const changed = news === 'EVERYTHING' ? news : new Set(news.flatMap(subjectsIn))
    if (changed === 'EVERYTHING') everythingChangedAt = now
    else {
      for (const subject of changed) {
        // to the end: `forget` goes from the oldest on
        changedAt.delete(subject)
        changedAt.set(subject, now)
      }
    }
    for (const listener of listeners) {
      try {
        listener(changed)
      } catch (error) {
        log.error({ err: error }, 'a listener of auth changes threw')
      }
    }
  }

  async function pollOnce(): Promise<void> {
    const began = monotonic()
    const rows = await database.query<PolledRow>(POLL, [lastTime])
    const { time, tooOld } = rows[0]!
    const changes = rows.filter((row): row is PolledRow & Change => row.id !== null)
    const news = changes.filter(({ id }) => !seen.has(id) && !toldHere.has(id))
    seen = new Set(changes.map(({ id }) => id))
    for (const id of tooOld ? [...toldHere] : seen) toldHere.delete(id)
    lastTime = time
    if (tooOld) apply('EVERYTHING')
    else if (news.length > 0) apply(news)
    asOf = began
    forget(began)
    if (began - cleanedAt < CLEAN_EVERY_MS) return
    cleanedAt = began
    await database.query(CLEAN)
  }

  function forget(now: number): void {
    for (const [subject, at] of changedAt) {
      if (now - at < REMEMBERED_MS) break
      changedAt.delete(subject)
    }
  }

  /** A poll that began before a ring may not see what rang: then one more follows. */
  async function poll(): Promise<void> {
    do {
      again = false
      await pollOnce().then(trouble.worked, trouble.failed)
    } while (again)
    polling = undefined
  }
  const runOnce = (): Promise<void> => (polling ??= poll())
  const isFresh = (): boolean => monotonic() - asOf < FRESH_MS

  database.onCommitted(TOPIC, (rows) => {
    // a poll may have been quicker
    const news = rows.map((row) => JSON.parse(row) as Change).filter(({ id }) => !seen.has(id))
    for (const { id } of news) toldHere.add(id)
    if (news.length > 0) apply(news)
    bus.ring(TOPIC)
  })

  return {
    async fresh() {
      if (isFresh()) return
      const patience = AbortSignal.timeout(longestWaitMs)
      const late = new Promise<void>((resolve) => patience.addEventListener('abort', () => resolve(), { once: true }))
      while (!isFresh()) {
        if (patience.aborted) throw new Fault('UNAVAILABLE')
        await Promise.race([runOnce(), late])
        if (!isFresh()) await Promise.race([new Promise((resolve) => setTimeout(resolve, POLL_MS)), late])
      }
    },
    changedSince: (subjects, since) =>
      everythingChangedAt >= since || subjects.some((subject) => (changedAt.get(subject) ?? Number.NEGATIVE_INFINITY) >= since),
    onAuthChange(listener) {
      listeners.add(listener)
      return () => void listeners.delete(listener)
    },
    runOnce,
    start() {
      unlisten.push(
        bus.listen(TOPIC, () => {
          again = polling !== undefined
          void runOnce()
        }),
      )
      timer = setInterval(() => void runOnce(), POLL_MS).unref()
      void runOnce()
    },
    async stop() {
      clearInterval(timer)
      for (const end of unlisten.splice(0)) end()
      await polling
    },
  }
}

interface PolledRow {
  time: string
  tooOld: boolean
  id: number | null
  subject: string | null
  concerned: string[] | null
}

const RECORD = `
insert into sluice.auth_changes (subject, concerned) select unnest($1::text[]), $2::text[] returning id, subject, concerned`

/** `$1`: the time of the last poll. The first one takes what is recent: nothing older is remembered here. */
const POLL = `
select n.time::text as time, coalesce($1::timestamptz < n.time - ${KEPT} + ${OVERLAP}, false) as "tooOld", c.id, c.subject, c.concerned
from (select now() as time) n
left join sluice.auth_changes c on c.at > coalesce($1::timestamptz, n.time) - ${OVERLAP}`

const CLEAN = `
delete from sluice.auth_changes where id in (
  select id from sluice.auth_changes where at < now() - ${KEPT} order by at limit ${CLEAN_ROWS})`
