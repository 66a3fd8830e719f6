/**
 * Group commit: transitions that arrive while a commit is in flight form the next batch. No timer, no delay when idle; what waits
 * is bounded. The text of the function that it calls is commit.sql beside it.
 */
import { int4Array, rowArray, uuidArray } from '../database/binary-rows.ts'
import type { Database } from '../database/database.ts'
import { sqlState } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import { Fault } from '../errors.ts'
import type { Logger } from '../log.ts'
import { createTrouble } from '../trouble.ts'
import type { ListName, Rows } from './encode.ts'
import { LISTS } from './encode.ts'

export interface CommitItem {
  executionId: string
  kind: 'start' | 'update'
  /** random, stored with the row: tells after a lost answer whether it was stored */
  mark: number
  rows: Rows
  /** an idempotency key comes with this start */
  keyed?: boolean
  /** API transitions go first */
  urgent?: boolean
  /** of an update: what was decided on; the fence */
  from?: { version: number; epoch: number }
}

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

/** Callers of the API are not kept waiting for longer while nothing can be stored (a full disk, a standby, a lock). */
const URGENT_MS = 10_000

export interface Committer {
  /** Rejects, `urgent` alone, with a Fault UNAVAILABLE when it could not be stored for 10 s; whether it was, is not known then. */
  submit(item: CommitItem): Promise<Verdict>
  /** true: the queue is full; start nothing new */
  readonly full: boolean
  /** what is not committed yet; for metrics */
  readonly waiting: { readonly items: number; readonly bytes: number }
  /** for how many ms nothing could be stored, 0 when the last commit was */
  readonly failingMs: number
  /** called with whom a commit handed slots to, or told to end: they may be anywhere */
  onSlots?: (changed: SlotNews) => void
  /** called after each commit; for metrics */
  onCommit?: (batch: { items: number; bytes: number; ms: number }) => void
  /** Commits what waits, then refuses. */
  close(): Promise<void>
}

/** Ids of executions. */
export interface SlotNews {
  woken: readonly string[]
  told: readonly string[]
}

interface Waiting extends CommitItem {
  bytes: number
  /** of `performance.now()`: nobody waits for it any more; Infinity of what must not be lost */
  until: number
  settle(verdict: Verdict): void
  abandon(error: Error): void
}

export const COMMIT_TEXT = prepared(
  'select at, refused from sluice.commit_transitions($1::sluice.start_row_30[], $2, $3::uuid[], $4::integer[], $5::integer[], ' +
    '$6::sluice.update_row_16[], $7::sluice.step_run_row[], $8::sluice.event_row[], $9::sluice.ask_row[], $10::sluice.closed_ask_row[], ' +
    '$11::sluice.output_row[], $12::sluice.read_row[], $13::sluice.send_row[], $14::sluice.key_row[], $15::sluice.audit_row[], $16::sluice.wait_row[], ' +
    '$17::sluice.slot_row[])',
)

/** `urgentMs`: how long the API waits, 10,000. */
export function createCommitter(database: Database, log: Logger, { urgentMs = URGENT_MS } = {}): Committer {
  const urgent: Waiting[] = []
  const queue: Waiting[] = []
  let bytes = 0
  let count = 0
  /** items of the batch that is being stored */
  let underWay = 0
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
      return trouble.lastsMs
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
    for (let attempt = 0; batch.length > 0; attempt++) {
      try {
        if (doubtful) {
          batch = await readBack(batch)
          doubtful = false
          continue
        }
        const refused = await store(batch)
        trouble.worked()
        return settleBatch(batch, refused)
      } catch (error) {
        const state = sqlState(error)
        if (state && /^(22|23|54|SL)/.test(state)) return await bisect(batch, error)
        trouble.failed(error, { items: batch.length })
        if (closed && attempt >= 3) return giveUp(batch, error)
        batch = leave(batch, error)
        if (urgent.length > 0) urgent.splice(0, Infinity, ...leave(urgent, error))
        if (state === '40001' || state === '40P01') continue
        doubtful = true
        await pause(Math.min(50 * 2 ** attempt, 1000))
      }
    }
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

  async function store(batch: readonly Waiting[]): Promise<Refusal[]> {
    const list = (name: ListName): Buffer | null => rowArray(batch.flatMap(({ rows }) => rows[name] ?? []))
    // in the order in which the function locks them, so that it can tell by one comparison that nothing is stale
    const updates = batch.filter((item) => item.kind === 'update').sort((a, b) => (a.executionId < b.executionId ? -1 : 1))
    const ids = updates.map((item) => item.executionId)
    const sent = performance.now()
    const [answer] = await database.query<{ at: number; refused: (Refusal | SlotsChanged)[] | null }>(COMMIT_TEXT, [
      ...[list('starts'), batch.some((item) => item.keyed), uuidArray(ids)],
      ...[int4Array(updates.map(({ from }) => from!.version)), int4Array(updates.map(({ from }) => from!.epoch))],
      ...[list('updates'), list('step_runs'), list('events'), list('asks'), list('closed_asks'), list('outputs')],
      ...[list('reads'), list('sends'), list('keys'), list('audits'), list('waits'), list('slots')],
    ])
    database.clock.sample(answer!.at, sent, performance.now())
    const refusals: Refusal[] = []
    for (const row of answer!.refused ?? []) {
      if (row.verdict === 'slots') committer.onSlots?.(row)
      else refusals.push(row)
    }
    return refusals
  }

  /** What waits is on its way first, in this turn of the event loop; then what this batch sets off is computed. */
  function settleBatch(batch: readonly Waiting[], refused: readonly Refusal[]): void {
    const refusals = new Map(refused.map((refusal) => [refusal.id, refusal]))
    const told: [Waiting, Verdict][] = []
    for (const item of batch) {
      const refusal = refusals.get(item.executionId)
      if (refusal?.verdict === 'skipped') (item.urgent ? urgent : queue).push(item)
      else if (refusal?.verdict === 'replayed') told.push([item, { kind: 'replayed', executionId: refusal.subject! }])
      else told.push([item, { kind: refusal?.verdict ?? 'committed' }])
    }
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
    if (sqlState(error) === '23505') {
      // a start that was sent twice, because its first answer was lost and came late, is there already
      const left = await readBack(batch)
      if (left.length < batch.length) return await commitBatch(left)
    }
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
    const found = await database.query<{ id: string; mark: number }>(
      'select id, mark from sluice.executions where id = any($1::uuid[])',
      [batch.map((item) => item.executionId)],
    )
    const marks = new Map(found.map(({ id, mark }) => [id, Number(mark)]))
    return batch.filter((item) => {
      const stored = item.kind === 'start' ? marks.has(item.executionId) : marks.get(item.executionId) === item.mark
      if (stored) item.settle({ kind: 'committed' })
      return !stored
    })
  }
}

interface Refusal {
  id: string
  verdict: 'stale' | 'gone' | 'skipped' | 'limit' | 'noSlot' | 'mismatch' | 'replayed'
  subject?: string
}

interface SlotsChanged extends SlotNews {
  verdict: 'slots'
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
