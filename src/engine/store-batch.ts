/** The statement of a group commit, and the question what became of it when its answer was lost. Its function is commit.sql beside it. */
import { int4Array, rowArray, uuidArray } from '../database/binary-rows.ts'
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import type { ListName, Rows } from './encode.ts'

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

export interface Refusal {
  id: string
  verdict: 'stale' | 'gone' | 'skipped' | 'limit' | 'noSlot' | 'mismatch' | 'replayed'
  subject?: string
}

/** Whom a commit handed slots to, or told to end, as ids of executions. */
export interface SlotNews {
  woken: readonly string[]
  told: readonly string[]
}

interface SlotsChanged extends SlotNews {
  verdict: 'slots'
}

const COMMIT_TEXT = prepared(
  'select at, refused from sluice.commit_transitions($1::sluice.start_row_30[], $2, $3::uuid[], $4::integer[], $5::integer[], ' +
    '$6::sluice.update_row_16[], $7::sluice.step_run_row[], $8::sluice.event_row[], $9::sluice.ask_row[], $10::sluice.closed_ask_row[], ' +
    '$11::sluice.output_row[], $12::sluice.read_row[], $13::sluice.send_row[], $14::sluice.key_row[], $15::sluice.audit_row[], $16::sluice.wait_row[], ' +
    '$17::sluice.slot_row[])',
)

/** What was not stored, and why; all else was. */
export async function storeBatch(
  database: Database,
  batch: readonly CommitItem[],
): Promise<{ refusals: Refusal[]; slots: SlotNews[] }> {
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
  const slots: SlotNews[] = []
  for (const row of answer!.refused ?? []) {
    if (row.verdict === 'slots') slots.push(row)
    else refusals.push(row)
  }
  return { refusals, slots }
}

/** Those that carry their mark: after a lost answer, what was stored. */
export async function findStored(database: Database, batch: readonly CommitItem[]): Promise<Set<CommitItem>> {
  const found = await database.query<{ id: string; mark: number }>(
    'select id, mark from sluice.executions where id = any($1::uuid[])',
    [batch.map((item) => item.executionId)],
  )
  const marks = new Map(found.map(({ id, mark }) => [id, Number(mark)]))
  const isStored = ({ kind, executionId, mark }: CommitItem): boolean =>
    kind === 'start' ? marks.has(executionId) : marks.get(executionId) === mark
  return new Set(batch.filter(isStored))
}
