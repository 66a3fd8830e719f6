/** A transition as the rows that the commit function reads: each becomes bytes once, here, and is joined into batches as bytes. */
import { signatureOf } from '../audit/audit-entry.ts'
import type { AuditEntry } from '../audit/audit-entry.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { RowWriter } from '../database/binary-rows.ts'
import type { EncodedRows } from '../database/binary-rows.ts'
import type { Json } from '../language/values.ts'
import type { AskRow, ClosedAsk, EventRow, StepRunRow, Transition, Word } from './decide/draft.ts'
import { countSteps } from './decide/snapshot.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { WaitRow } from './decide/wait-rows.ts'
import { endEntry } from './end-entry.ts'
import type { Idempotency } from './engine.ts'
import { startWaits } from './origin.ts'
import type { StartFields } from './origin.ts'
import { askRow, slotChange } from './slots.ts'
import type { SlotRow } from './slots.ts'
import { hasEnded } from './states.ts'

/** The commit function's parameters that are lists of rows. */
export const LISTS = [
  'starts',
  'updates',
  'step_runs',
  'events',
  'asks',
  'closed_asks',
  'outputs',
  'reads',
  'sends',
  'keys',
  'audits',
  'waits',
  'slots',
] as const
export type ListName = (typeof LISTS)[number]

/** What a transition adds to each list. */
export type Rows = Partial<Record<ListName, EncodedRows>>

/** The idempotency key of an operation that starts nothing. */
export interface KeyFields {
  idempotency: Idempotency
  operation: string
  subjectId: string
}

export interface Extras {
  start?: StartFields
  keys?: readonly KeyFields[]
  sends?: readonly Word[]
  audits?: readonly AuditEntry[]
}

const writer = new RowWriter()

/** Each row in the order of its type's columns in commit.sql. */
export function encodeTransition(transition: Transition, mark: number, sign: AuditKeys['sign'], extras: Extras = {}): Rows {
  const { from, next, changed } = transition
  const ended = changed && hasEnded(next.status)
  const rows: Rows = {}
  const put = <Item>(list: ListName, items: readonly Item[] | undefined, write: (item: Item) => void): void => {
    if (!items || items.length === 0) return
    for (const item of items) write(item)
    rows[list] = writer.take()!
  }
  if (extras.start) put('starts', [extras.start], (start) => writeStart(next, mark, start))
  else if (changed) put('updates', [from], ({ version }) => writeUpdate(next, mark, version))
  put('step_runs', transition.stepRuns, (run) => writeStepRun(next.id, run))
  put('events', transition.events, (event) => writeEvent(next.id, event))
  put('asks', transition.asks, (ask) => writeAsk(next, ask))
  put('closed_asks', transition.closedAsks, (ask) => writeClosedAsk(next, ask))
  put('waits', extras.start ? [...transition.waits, ...startWaits(extras.start)] : transition.waits, (wait) =>
    writeWait(next.id, wait),
  )
  const slot = extras.start?.slot ? askRow(extras.start.slot, extras.start.priority) : slotChange(from, next)
  if (slot) put('slots', [slot], (row) => writeSlot(next, row))
  if (transition.output != null) put('outputs', [transition.output], (output) => writeOutput(next.id, output))
  put('reads', transition.readMessages, (key) => writeRead(next.id, key))
  put('sends', extras.sends ? [...transition.words, ...extras.sends] : transition.words, (message) => writeSend(next.id, message))
  put('keys', extras.keys, (key) => writeKey(next.id, key))
  const audits = ended ? [...(extras.audits ?? []), endEntry(next, sign)] : extras.audits
  put('audits', audits, (entry) => writeAudit(next.id, entry))
  return rows
}

function writeStart(next: Snapshot, mark: number, start: StartFields): void {
  const { idempotency } = start
  writer.begin(37)
  writer.uuid(next.id)
  writer.uuid(next.flowId)
  writer.uuid(next.flowVersionId)
  writer.uuid(next.initiatorId)
  writer.uuid(start.parentId)
  writer.uuid(start.retryOf)
  writer.uuid(start.triggerId)
  writer.int2(start.priority)
  writer.jsonb(start.labels)
  writer.time(next.createdAt)
  writer.int2(next.program.steps.length)
  writeProgress(next, mark)
  writer.jsonText(start.inputText)
  writer.int4(start.runningLimit)
  writer.uuid(idempotency?.principalId)
  writer.text(idempotency?.key)
  writer.bytea(idempotency?.inputHash)
  writer.text(next.program.pool)
  writer.end()
}

function writeUpdate(next: Snapshot, mark: number, version: number): void {
  writer.begin(22)
  writer.uuid(next.id)
  writer.int4(version)
  writeProgress(next, mark)
  writer.end()
}

/** What changes in an execution: 20 columns. */
function writeProgress(next: Snapshot, mark: number): void {
  const counts = countSteps(next)
  writer.text(next.status)
  writer.int4(next.epoch)
  writer.uuid(next.owner)
  writer.time(next.wakeAt)
  writer.time(next.deadlineAt)
  writer.text(next.cancelReason)
  writer.text(next.pauseReason)
  writer.int4(next.seq)
  writer.time(next.lastEventAt)
  writer.int8(mark)
  writer.int4(next.stateBytes)
  writer.int2(counts.succeeded)
  writer.int2(counts.failed)
  writer.int2(counts.skipped)
  writer.jsonb(next.inFlight)
  writer.time(next.startedAt)
  writer.time(next.endedAt)
  writer.text(next.reason)
  writer.jsonb(next.error)
  writer.text(next.ending)
}

function writeStepRun(executionId: string, run: StepRunRow): void {
  writer.begin(12)
  writer.uuid(executionId)
  writer.text(run.path)
  writer.text(run.name)
  writer.text(run.type)
  writer.text(run.status)
  writer.int4(run.attempt)
  writer.time(run.startedAt)
  writer.time(run.finishedAt)
  writer.text(run.route)
  writer.json(run.input)
  writer.json(run.output)
  writer.json(run.error)
  writer.end()
}

function writeEvent(executionId: string, event: EventRow): void {
  writer.begin(8)
  writer.uuid(executionId)
  writer.int4(event.seq)
  writer.text(event.type)
  writer.time(event.at)
  writer.text(event.step)
  writer.text(event.path)
  writer.int4(event.attempt)
  writer.json(event.data)
  writer.end()
}

function writeAsk(next: Snapshot, ask: AskRow): void {
  writer.begin(13)
  writer.uuid(ask.id)
  writer.uuid(next.id)
  writer.uuid(next.flowId)
  writer.uuid(next.initiatorId)
  writer.text(ask.path)
  writer.int4(ask.attempt)
  writer.text(ask.kind)
  writer.text(ask.role)
  writer.text(ask.subject)
  writer.json(ask.body)
  writer.text(ask.kind === 'NOTICE' ? 'DELIVERED' : 'OPEN')
  writer.time(next.lastEventAt)
  writer.time(ask.deadlineAt)
  writer.end()
}

function writeClosedAsk(next: Snapshot, ask: ClosedAsk): void {
  writer.begin(7)
  writer.uuid(next.id)
  writer.uuid(ask.id)
  writer.text(ask.status)
  writer.text(ask.decision)
  writer.json(ask.answer)
  writer.uuid(ask.answeredBy)
  writer.time(ask.status === 'ANSWERED' ? next.lastEventAt : null)
  writer.end()
}

function writeWait(executionId: string, { kind, ...body }: WaitRow): void {
  writer.begin(3)
  writer.uuid(executionId)
  writer.text(kind)
  writer.json(body)
  writer.end()
}

function writeSlot({ id, flowId }: Snapshot, row: SlotRow): void {
  const ask = row.kind === 'ask' ? row : undefined
  writer.begin(10)
  writer.uuid(id)
  writer.text(row.kind)
  writer.uuid(flowId)
  writer.text(row.key)
  writer.bool(ask?.hidden)
  writer.int4(ask?.most)
  writer.int4(ask?.mostQueued)
  writer.bool(ask?.cancelsOlder)
  writer.int2(ask?.priority)
  writer.time(ask?.dueAt)
  writer.end()
}

function writeOutput(executionId: string, output: Json): void {
  writer.begin(2)
  writer.uuid(executionId)
  writer.json(output)
  writer.end()
}

function writeRead(executionId: string, key: string): void {
  writer.begin(2)
  writer.uuid(executionId)
  writer.text(key)
  writer.end()
}

function writeSend(senderId: string, { executionId, key, kind, body }: Word): void {
  writer.begin(5)
  writer.uuid(executionId)
  writer.text(key)
  writer.uuid(senderId)
  writer.text(kind)
  writer.json(body)
  writer.end()
}

function writeKey(executionId: string, { idempotency, operation, subjectId }: KeyFields): void {
  writer.begin(6)
  writer.uuid(executionId)
  writer.uuid(idempotency.principalId)
  writer.text(operation)
  writer.text(idempotency.key)
  writer.bytea(idempotency.inputHash)
  writer.uuid(subjectId)
  writer.end()
}

/** `of` is the execution whose transition carries it: both are stored, or neither. */
function writeAudit(of: string, entry: AuditEntry): void {
  writer.begin(17)
  writer.uuid(of)
  writer.uuid(entry.id)
  writer.time(Date.parse(entry.at))
  writer.text(entry.type)
  writer.text(entry.severity)
  writer.text(entry.actorKind)
  writer.uuid(entry.actorId)
  writer.uuid(entry.flowId)
  writer.uuid(entry.executionId)
  writer.bool(entry.success)
  writer.float8(entry.durationMs)
  writer.int4(entry.tokens)
  writer.text(entry.errorCode)
  writer.jsonb(entry.metadata)
  writer.text(entry.ip)
  writer.text(entry.userAgent)
  writer.bytea(signatureOf(entry))
  writer.end()
}
