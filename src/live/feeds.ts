/** All feeds of this process: opens them, sweeps for their heartbeats, expiries and lost rings, and closes them. */
import type { Database } from '../database/database.ts'
import { executionTopic } from '../engine/engine.ts'
import type { MasksOf } from '../engine/masks.ts'
import { createLoop } from '../loop.ts'
import { Fault } from '../errors.ts'
import type { Bus } from '../fleet/bus.ts'
import type { AuthChanges } from '../identity/auth-changes.ts'
import type { RenewPrincipals } from '../identity/authenticate.ts'
import { subjectsOf } from '../identity/principal.ts'
import type { Principal } from '../identity/principal.ts'
import { recheckOnChange } from '../identity/recheck.ts'
import type { Logger } from '../log.ts'
import { decodeFeedCursor } from './cursor.ts'
import { ExecutionFeed } from './execution-feed.ts'
import { ExecutionSource } from './execution-source.ts'
import { createReadAfter, readSeqs } from './read-execution.ts'

/** The longest that a lost ring or an expired token goes unnoticed. A sweep is one statement, however many feeds there are. */
const SWEEP_MS = 1_000
const HEARTBEAT_MS = 15_000

/** An execution that somebody follows or wants to. */
export interface Following {
  readonly principal: Principal
  /** UUID */
  readonly executionId: string
}

/** Who may follow what, and when that changes. */
export interface FeedAccess extends Pick<AuthChanges, 'fresh' | 'changedSince' | 'onAuthChange'> {
  readonly renewPrincipals: RenewPrincipals
  /** For each: the UUID of the execution's flow, undefined when it is not there or not visible. One query, read anew. */
  whoMaySee(following: readonly Following[]): Promise<readonly (string | undefined)[]>
}

export interface FeedsOptions {
  readonly database: Database
  readonly bus: Bus
  readonly access: FeedAccess
  readonly masks: MasksOf
  readonly log: Logger
  readonly sweepMs?: number
  readonly heartbeatMs?: number
  /** ms since 1970; tests have their own */
  readonly now?: () => number
}

/** Who wants to follow what. */
export interface ExecutionFeedOrder extends Following {
  /** resume after this cursor; none = begin with a snapshot */
  readonly after?: string | null | undefined
}

export interface Feeds {
  /** Throws Fault BAD_CURSOR, NOT_FOUND (not there, or not visible) and UNAVAILABLE (draining). Whoever opens must `return()` it. */
  openExecutionFeed(order: ExecutionFeedOrder): Promise<ExecutionFeed>
  /**
   * Sends `closed` (DRAINING) on every feed and refuses new ones. Resolves when all of them were sent or left: a reader that does
   * not pull never takes it, so wait with a limit.
   */
  drain(): Promise<void>
  /** One sweep; for tests, and what the loop does. Never rejects. */
  sweep(): Promise<void>
  start(): void
  /** Ends the loop and, without a further frame, every feed. */
  stop(): Promise<void>
  /** open feeds, for metrics */
  readonly open: number
}

/** The feeds over this database; rings on the bus only hurry them. */
export function createFeeds(options: FeedsOptions): Feeds {
  const { database, bus, log, access, now = Date.now, sweepMs = SWEEP_MS, heartbeatMs = HEARTBEAT_MS } = options
  const feeds = new Set<ExecutionFeed>()
  const sources = new Map<string, { source: ExecutionSource; unlisten: () => void }>()
  const readAfter = createReadAfter(database, options.masks)
  let draining = false
  let polling: Promise<void> | undefined

  function follow(executionId: string): ExecutionSource {
    const known = sources.get(executionId)
    if (known) return known.source
    const source = new ExecutionSource(executionId, readAfter, () => {
      sources.get(executionId)?.unlisten()
      sources.delete(executionId)
    })
    const unlisten = bus.listen(executionTopic(executionId), (payload) => source.hear(readSeq(payload)))
    sources.set(executionId, { source, unlisten })
    return source
  }

  const rechecks = recheckOnChange<ExecutionFeed, Principal | undefined>({
    onAuthChange: access.onAuthChange,
    members: feeds,
    subjectsOf: ({ principal, flowId }) => [...subjectsOf(principal), `flow:${flowId}`],
    doubt: (feed) => feed.doubt(),
    ask: reauthorize,
    settle: (feed, principal) => (principal ? feed.confirm(principal) : void feed.close('ACCESS_REVOKED')),
    log,
  })

  /** The principals as of now, of those feeds that may go on. */
  async function reauthorize(doubted: readonly ExecutionFeed[]): Promise<(Principal | undefined)[]> {
    const principals = await access.renewPrincipals(doubted.map(({ principal }) => principal))
    const there = doubted.flatMap(({ executionId }, at) => {
      const principal = principals[at]
      return principal ? [{ at, principal, executionId }] : []
    })
    const seen = await access.whoMaySee(there)
    const still = new Set(there.filter((_, index) => seen[index] !== undefined).map(({ at }) => at))
    return principals.map((principal, at) => (still.has(at) ? principal : undefined))
  }

  async function openExecutionFeed({ executionId, after, principal }: ExecutionFeedOrder): Promise<ExecutionFeed> {
    const seq = after == null ? undefined : decodeFeedCursor(after, executionId)
    const askedAt = performance.now()
    const [flowId] = await access.whoMaySee([{ principal, executionId }])
    if (flowId === undefined) throw new Fault('NOT_FOUND')
    if (draining) throw new Fault('UNAVAILABLE')
    const feed = new ExecutionFeed({
      principal,
      flowId,
      // listens before it reads, so that no commit falls between
      source: follow(executionId),
      after: seq,
      fresh: access.fresh,
      heartbeatMs,
      now,
      onFailure: (err) => log.warn({ err, execution: executionId }, 'a feed could not read'),
      onGone: (gone) => feeds.delete(gone),
    })
    feeds.add(feed)
    if (access.changedSince([...subjectsOf(principal), `flow:${flowId}`], askedAt)) rechecks.recheck(feed)
    return feed
  }

  async function drain(): Promise<void> {
    draining = true
    await Promise.all([...feeds].map((feed) => feed.close('DRAINING')))
  }

  async function poll(): Promise<void> {
    const ids = [...sources.keys()]
    if (ids.length === 0) return
    try {
      const seqs = await readSeqs(database, ids)
      for (const id of ids) sources.get(id)?.source.saw(seqs.get(id))
    } catch (err) {
      log.warn({ err }, 'the sweep of feeds could not read')
    }
  }

  function sweep(): Promise<void> {
    for (const feed of feeds) feed.tick(now())
    void rechecks.runOnce()
    // single-flight: a database that hangs must not pile up polls, nor hold up expiries and heartbeats
    polling ??= poll().finally(() => (polling = undefined))
    return polling
  }

  async function runOnce(): Promise<number> {
    void sweep()
    return sweepMs
  }
  const loop = createLoop({ name: 'the sweep of feeds', log, runOnce })

  return {
    openExecutionFeed,
    drain,
    sweep,
    start: loop.start,
    async stop() {
      for (const feed of feeds) void feed.return()
      await loop.stop()
    },
    get open() {
      return feeds.size
    },
  }
}

/** A ring may come without its payload: then it says only that something happened. */
const readSeq = (payload: string | undefined): number => (payload && /^\d{1,10}$/.test(payload) ? Number(payload) : Infinity)
