/**
 * Group commit: transitions that arrive while a commit is in flight form the next batch. No timer, no delay when idle; what waits
 * is bounded. The text of the function that it calls is commit.sql beside it.
 */
import type { Database } from '../database/database.ts'
import { sqlState } from '../database/database.ts'
import { Fault } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import { LISTS } from './encode.ts'
import { findStored, storeBatch } from './store-batch.ts'
import type { CommitItem, Refusal, SlotNews } from './store-batch.ts'

export type Verdict =
  | { kind: 'committed' }
  /** version or epoch differ from those that were decided on */
  | { kind: 'stale' }
  /** the execution was removed */
  | { kind: 'gone' }
  | { kind: 'limit' }
  /** nor was there a place in the queue for one */
  | { kind: 'noSlot' }
  | { kind: 'mismatch' }
  | { kind: 'replayed'; executionId: string }
  | { kind: 'unstorable'; message: string }

const MAX_ITEMS = 1000
const MAX_BYTES = 4_000_000
/** of what a commit tells at once: fewer are not worth a commit of their own */
const SMALLEST_PART = 8
/** Above either, workers stop claiming and mutations are refused; outcomes are never dropped. */
export const FULL_ITEMS = 10_000
export const FULL_BYTES = 64_000_000

/** Between commits while somebody holds the rows of all that wait, at most. */
const BLOCKED_MS = 100

/** Callers of the API are not kept waiting for longer while nothing can be stored (a full disk, a standby, a lock). */
const URGENT_MS = 10_000

export interface Committer {
  /** Rejects, `urgent` alone, with a Fault UNAVAILABLE when it could not be stored for 10 s; whether it was, is not known then. */
  submit(item: CommitItem): Promise<Verdict>
  /** true: the queue is full; start nothing new */
  readonly full: boolean
  /** what is not committed yet; for metrics */
  readonly waiting: { readonly items: number; readonly bytes: number }
  /** for how many ms nothing could be stored; 0: the last commit was, or nothing waits for one any more */
  readonly failingMs: number
  /** called with whom a commit handed slots to, or told to end: they may be anywhere */
  onSlots?: (changed: SlotNews) => void
  /** called after each commit; for metrics */
  onCommit?: (batch: { items: number; bytes: number; ms: number }) => void
  /** Commits what waits, then refuses. */
  close(): Promise<void>
}

interface Waiting extends CommitItem {
  bytes: number
  /** of `performance.now()`: nobody waits for it any more; Infinity of what must not be lost */
  until: number
  settle(verdict: Verdict): void
  abandon(error: Error): void
}

/** `urgentMs`: how long the API waits, 10,000. */
export function createCommitter(database: Database, log: Logger, { urgentMs = URGENT_MS } = {}): Committer {
  const urgent: Waiting[] = []
  const queue: Waiting[] = []
  let bytes = 0
  let count = 0
  /** items of the batch that is being stored */
  let underWay = 0
  /** how many commits in a row stored nothing, since somebody holds the rows of all that wait */
  let blocked = 0
  let pumping: Promise<void> | undefined
  let closed = false
  const trouble = createTrouble({ log, message: 'commit failed, trying again', over: 'commits go on' })

  const committer: Committer = {
    submit(item) {
      if (closed) return Promise.reject(new Error('the committer is closed'))
      return new Promise<Verdict>((resolve, reject) => {
        let size = 200
        for (const list of LISTS) size += item.rows[list]?.bytes.length ?? 0
        const done = (): void => {
          bytes -= size
          count--
        }
        bytes += size
        count++
        const settle = (verdict: Verdict): void => (done(), resolve(verdict))
        const abandon = (error: Error): void => (done(), reject(error))
        const until = item.urgent ? performance.now() + urgentMs : Infinity
        ;(item.urgent ? urgent : queue).push({ ...item, bytes: size, until, settle, abandon })
        pumping ??= Promise.resolve().then(pump)
      })
    },
    get waiting() {
      return { items: count, bytes }
    },
    get failingMs() {
      return count === 0 ? 0 : trouble.lastsMs
    },
    get full() {
      return count >= FULL_ITEMS || bytes >= FULL_BYTES
    },
    async close() {
      closed = true
      await pumping
    },
  }
  return committer

  async function pump(): Promise<void> {
    while (urgent.length + queue.length > 0) {
      const batch = nextBatch()
      underWay = batch.length
      const started = performance.now()
      await commitBatch(batch)
      committer.onCommit?.({
        items: batch.length,
        bytes: batch.reduce((sum, item) => sum + item.bytes, 0),
        ms: performance.now() - started,
      })
      if (blocked > 0) await pause(Math.min(2 ** blocked, BLOCKED_MS))
    }
    pumping = undefined
  }

  function nextBatch(): Waiting[] {
    const batch: Waiting[] = []
    let size = 0
    for (const list of [urgent, queue]) {
      let taken = 0
      while (taken < list.length && batch.length < MAX_ITEMS && (size === 0 || size + list[taken]!.bytes <= MAX_BYTES)) {
        size += list[taken]!.bytes
        batch.push(list[taken++]!)
      }
      list.splice(0, taken)
    }
    return batch
  }

  /** Stores a batch, whatever happens: repeats it, splits it to find the culprit, or reads back what became of it. */
  async function commitBatch(items: readonly Waiting[]): Promise<void> {
    let batch = items
    // an answer was lost: nothing is sent again before it is known what became of it
    let doubtful = false
    /** why PostgreSQL will not take it */
    let refusal: unknown
    for (let attempt = 0; batch.length > 0; attempt++) {
      try {
        if (doubtful) {
          const left = await readBack(batch)
          doubtful = false
          if (left.length < batch.length) refusal = undefined
          batch = left
          if (batch.length === 0) return trouble.worked()
        }
        if (refusal !== undefined) break
        const { refusals, slots } = await storeBatch(database, batch)
        trouble.worked()
        for (const news of slots) committer.onSlots?.(news)
        return settleBatch(batch, refusals)
      } catch (error) {
        const state = sqlState(error)
        if (state && /^(22|23|54|SL)/.test(state)) {
          refusal = error
          // a start that was sent twice, because its first answer was lost and came late, is there already
          doubtful = state === '23505'
          continue
        }
        refusal = undefined
        trouble.failed(error, { items: batch.length })
        if (closed && attempt >= 3) return giveUp(batch, error)
        batch = leave(batch, error)
        if (urgent.length > 0) urgent.splice(0, Infinity, ...leave(urgent, error))
        if (state === '40001' || state === '40P01') continue
        doubtful = true
        await pause(Math.min(50 * 2 ** attempt, 1000))
      }
    }
    if (refusal !== undefined) await bisect(batch, refusal)
  }

  /** Without those for whom nobody waits any more. What is left out may be stored all the same: the answer was lost, or comes late. */
  function leave(items: readonly Waiting[], why: unknown): Waiting[] {
    const now = performance.now()
    giveUp(
      items.filter(({ until }) => until < now),
      why,
    )
    return items.filter(({ until }) => until >= now)
  }

  function giveUp(items: readonly Waiting[], cause: unknown): void {
    for (const item of items) item.abandon(new Fault('UNAVAILABLE', undefined, { cause }))
  }

  /** What waits is on its way first, in this turn of the event loop; then what this batch sets off is computed. */
  function settleBatch(batch: readonly Waiting[], refused: readonly Refusal[]): void {
    const refusals = new Map(refused.map((refusal) => [refusal.id, refusal]))
    const told: [Waiting, Verdict][] = []
    const skipped: Waiting[] = []
    for (const item of batch) {
      const refusal = refusals.get(item.executionId)
      if (refusal?.verdict === 'skipped') skipped.push(item)
      else if (refusal?.verdict === 'replayed') told.push([item, { kind: 'replayed', executionId: refusal.subject! }])
      else told.push([item, { kind: refusal?.verdict ?? 'committed' }])
    }
    for (const item of leave(skipped, new Error('somebody holds its row'))) (item.urgent ? urgent : queue).push(item)
    blocked = told.length === 0 && batch.length > 0 ? blocked + 1 : 0
    underWay = 0
    if (urgent.length + queue.length === 0) tell(told)
    else setImmediate(() => tell(told))
  }

  /**
   * In two parts when less is being stored than is told: what the first sets off is then stored while the second is computed. All at
   * once, they would stay together for ever, and this process and the database would work in turns.
   */
  function tell(told: [Waiting, Verdict][]): void {
    const share = Math.max(SMALLEST_PART, Math.ceil((told.length + underWay) / 2))
    for (const [item, verdict] of told.slice(0, share)) item.settle(verdict)
    if (told.length > share) setImmediate(() => tell(told.slice(share)))
  }

  /** One row that PostgreSQL will not take must not keep the others out: halves, until it stands alone. */
  async function bisect(batch: readonly Waiting[], error: unknown): Promise<void> {
    if (batch.length === 1) {
      log.error({ err: error, executionId: batch[0]!.executionId }, 'a transition cannot be stored')
      return batch[0]!.settle({ kind: 'unstorable', message: `The database refused it (SQLSTATE ${sqlState(error)}).` })
    }
    const middle = batch.length >> 1
    await commitBatch(batch.slice(0, middle))
    await commitBatch(batch.slice(middle))
  }

  /** After a lost answer: what carries our mark was stored. The rest is tried again; if somebody wrote meanwhile, it will be stale. */
  async function readBack(batch: readonly Waiting[]): Promise<Waiting[]> {
    const stored = await findStored(database, batch)
    return batch.filter((item) => {
      const isStored = stored.has(item)
      if (isStored) item.settle({ kind: 'committed' })
      return !isStored
    })
  }
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
