/** All feeds of this process: opens them, sweeps for their heartbeats, expiries and lost rings, and closes them. */
import type { Database } from '../database/database.ts'
import { executionTopic } from '../engine/engine.ts'
import { createLoop } from '../engine/loop.ts'
import { Fault } from '../errors.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Logger } from '../log.ts'
import { decodeFeedCursor } from './cursor.ts'
import { ExecutionFeed } from './execution-feed.ts'
import { ExecutionSource } from './execution-source.ts'
import type { CloseReason } from './frames.ts'
import { createReadAfter, readSeqs } from './read-execution.ts'

/** The longest that a lost ring or an expired token goes unnoticed. A sweep is one statement, however many feeds there are. */
const SWEEP_MS = 1_000
const HEARTBEAT_MS = 15_000
/** How old the answer to "may they see it?" may be when a frame goes out. */
const ACCESS_MS = 5_000

export interface FeedsOptions {
  readonly database: Database
  readonly bus: Bus
  readonly log: Logger
  readonly sweepMs?: number
  readonly heartbeatMs?: number
  readonly accessMs?: number
  /** ms since 1970; tests have their own */
  readonly now?: () => number
}

/** Who wants to follow what. */
export interface ExecutionFeedOrder {
  /** UUID */
  readonly executionId: string
  /** resume after this cursor; none = begin with a snapshot */
  readonly after?: string | null | undefined
  readonly principalId: string
  /** ms since 1970: the end of the reader's token */
  readonly expiresAt: number
  /** Whether the execution is there and the principal may see it. Asked again while the feed lives: it must read anew each time. */
  readonly maySee: () => Promise<boolean>
}

export interface Feeds {
  /** Throws Fault BAD_CURSOR, NOT_FOUND (not there, or not visible) and UNAVAILABLE (draining). Whoever opens must `return()` it. */
  openExecutionFeed(order: ExecutionFeedOrder): Promise<ExecutionFeed>
  /**
   * Sends `closed` on every feed, or on those of one principal. Resolves when all of them were sent or left: a reader that does not
   * pull never takes it, so wait with a limit. DRAINING for everybody also refuses new feeds.
   */
  closeAll(reason: CloseReason, principalId?: string): Promise<void>
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
  const { database, bus, log, now = Date.now, sweepMs = SWEEP_MS, heartbeatMs = HEARTBEAT_MS, accessMs = ACCESS_MS } = options
  const feeds = new Set<ExecutionFeed>()
  const sources = new Map<string, { source: ExecutionSource; unlisten: () => void }>()
  const readAfter = createReadAfter(database)
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

  async function openExecutionFeed({ executionId, after, maySee, ...who }: ExecutionFeedOrder): Promise<ExecutionFeed> {
    const seq = after == null ? undefined : decodeFeedCursor(after, executionId)
    if (!(await maySee())) throw new Fault('NOT_FOUND')
    if (draining) throw new Fault('UNAVAILABLE')
    const feed = new ExecutionFeed({
      ...who,
      // listens before it reads, so that no commit falls between
      source: follow(executionId),
      after: seq,
      maySee,
      accessMs,
      heartbeatMs,
      now,
      onFailure: (err) => log.warn({ err, execution: executionId }, 'a feed could not read'),
      onGone: (gone) => feeds.delete(gone),
    })
    feeds.add(feed)
    return feed
  }

  async function closeAll(reason: CloseReason, principalId?: string): Promise<void> {
    if (reason === 'DRAINING' && principalId === undefined) draining = true
    const meant = [...feeds].filter((feed) => principalId === undefined || feed.principalId === principalId)
    await Promise.all(meant.map((feed) => feed.close(reason)))
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
    closeAll,
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
