/** A transition as the JSON rows that the commit function reads: each becomes text once, here, and is joined into batches as text. */
import type { AuditEntry } from '../audit/audit-entry.ts'
import { newUuid } from '../ids.ts'
import type { AskRow, ClosedAsk, EventRow, StepRunRow, Transition } from './decide/draft.ts'
import { countSteps } from './decide/snapshot.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { Idempotency } from './engine.ts'
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
] as const
export type ListName = (typeof LISTS)[number]

/** Rows as JSON objects, comma-joined, without the brackets. */
export type Rows = Partial<Record<ListName, string>>

/** What a new execution has beyond its snapshot. */
export interface StartFields {
  inputText: string
  priority: number
  labels: Record<string, string> | null
  parentId: string | null
  retryOf: string | null
  /** null = not limited (children) */
  runningLimit: number | null
  idempotency?: Idempotency
}

/** A word to another execution, stored with the sender's transition, read with the receiver's. */
export interface Message {
  executionId: string
  key: string
  kind: 'cancel'
  body: { reason: string }
}

export interface Extras {
  start?: StartFields
  keys?: readonly { idempotency: Idempotency; operation: string; subjectId: string }[]
  sends?: readonly Message[]
  audits?: readonly AuditEntry[]
}

/** A missing column is null to the database, and costs nothing: reading a row takes half the time without its nulls (measured). */
function toText(row: object): string {
  const columns = row as Record<string, unknown>
  for (const column in columns) if (columns[column] === null) columns[column] = undefined
  return JSON.stringify(columns)
}

let lastMs = Number.NaN
let lastIso = ''
/** The times of one transition are mostly one time: the last one is remembered (a tenth of this thread's work, measured). */
function iso(ms: number | null): string | null {
  if (ms === null) return null
  if (ms !== lastMs) {
    lastIso = new Date(ms).toISOString()
    lastMs = ms
  }
  return lastIso
}

export function encodeTransition(transition: Transition, mark: number, extras: Extras = {}): Rows {
  const { from, next } = transition
  const rows: Rows = {}
  const put = (list: ListName, row: object): void => {
    const text = toText(row)
    rows[list] = rows[list] === undefined ? text : `${rows[list]},${text}`
  }
  if (extras.start) rows.starts = startRow(next, mark, extras.start)
  else if (transition.changed)
    put('updates', { ...fields(next, mark), id: next.id, version: from.version, from_epoch: from.epoch })
  for (const event of transition.events) put('events', eventRow(next.id, event))
  for (const stepRun of transition.stepRuns) put('step_runs', stepRunRow(next.id, stepRun))
  for (const ask of transition.asks) put('asks', askRow(next, ask))
  for (const ask of transition.closedAsks) put('closed_asks', closedAskRow(next, ask))
  if (transition.output != null) put('outputs', { execution_id: next.id, body: transition.output })
  for (const key of transition.readMessages) put('reads', { execution_id: next.id, key })
  for (const { executionId, key, kind, body } of extras.sends ?? []) {
    put('sends', { execution_id: executionId, key, sender_id: next.id, kind, body })
  }
  for (const { idempotency, operation, subjectId } of extras.keys ?? []) {
    const { principalId, key, inputHash } = idempotency
    const row = { execution_id: next.id, principal_id: principalId, operation, key, input_hash: inputHash.toString('hex') }
    put('keys', { ...row, subject_id: subjectId })
  }
  for (const entry of extras.audits ?? []) put('audits', auditRow(next.id, entry))
  if (transition.changed && hasEnded(next.status)) put('audits', auditRow(next.id, endEntry(next)))
  return rows
}

function fields(next: Snapshot, mark: number): object {
  const counts = countSteps(next)
  return {
    ...{
      status: next.status,
      epoch: next.epoch,
      owner: next.owner,
      wake_at: iso(next.wakeAt),
      deadline_at: iso(next.deadlineAt),
    },
    ...{
      cancel_reason: next.cancelReason,
      pause_reason: next.pauseReason,
      seq: next.seq,
      last_event_at: iso(next.lastEventAt),
      mark,
    },
    ...{
      state_bytes: next.stateBytes,
      steps_succeeded: counts.succeeded,
      steps_failed: counts.failed,
      steps_skipped: counts.skipped,
    },
    ...{ in_flight: next.inFlight, started_at: iso(next.startedAt), ended_at: iso(next.endedAt) },
    ...{ reason: next.reason, error: next.error },
  }
}

function startRow(next: Snapshot, mark: number, start: StartFields): string {
  const { idempotency } = start
  const row = {
    ...fields(next, mark),
    ...{ id: next.id, flow_id: next.flowId, flow_version_id: next.flowVersionId, initiator_id: next.initiatorId },
    ...{ parent_id: start.parentId, retry_of: start.retryOf, priority: start.priority, labels: start.labels },
    ...{ created_at: iso(next.createdAt), steps_total: next.program.steps.length, running_limit: start.runningLimit },
    ...(idempotency && {
      principal_id: idempotency.principalId,
      key: idempotency.key,
      input_hash: idempotency.inputHash.toString('hex'),
    }),
  }
  return `${toText(row).slice(0, -1)},"input":${start.inputText}}`
}

function eventRow(executionId: string, event: EventRow): object {
  const { seq, type, at, step, path, attempt, data } = event
  return { execution_id: executionId, seq, type, at: iso(at), step, path, attempt, data }
}

function stepRunRow(executionId: string, run: StepRunRow): object {
  return {
    ...{ execution_id: executionId, path: run.path, name: run.name, type: run.type, status: run.status, attempt: run.attempt },
    ...{ started_at: iso(run.startedAt), finished_at: iso(run.finishedAt), route: run.route },
    ...{ input: run.input, output: run.output, error: run.error },
  }
}

function askRow(next: Snapshot, ask: AskRow): object {
  return {
    ...{ id: ask.id, execution_id: next.id, flow_id: next.flowId, initiator_id: next.initiatorId, path: ask.path },
    ...{ attempt: ask.attempt, kind: ask.kind, role: ask.role, subject: ask.subject, body: ask.body },
    ...{
      status: ask.kind === 'NOTICE' ? 'DELIVERED' : 'OPEN',
      created_at: iso(next.lastEventAt),
      deadline_at: iso(ask.deadlineAt),
    },
  }
}

function closedAskRow(next: Snapshot, ask: ClosedAsk): object {
  const { id, status, decision, answer, answeredBy } = ask
  const answeredAt = status === 'ANSWERED' ? iso(next.lastEventAt) : null
  return { execution_id: next.id, id, status, decision, answer, answered_by: answeredBy, answered_at: answeredAt }
}

/** `of` is the execution whose transition carries it: both are stored, or neither. */
function auditRow(of: string, entry: AuditEntry): object {
  return {
    ...{ of, id: entry.id, at: entry.at, type: entry.type, severity: entry.severity, actor_kind: entry.actorKind },
    ...{ actor_id: entry.actorId, flow_id: entry.flowId, execution_id: entry.executionId, success: entry.success },
    ...{ duration_ms: entry.durationMs, tokens: entry.tokens, error_code: entry.errorCode, metadata: entry.metadata },
    ...{ ip: entry.ip, user_agent: entry.userAgent },
  }
}

/** Every execution that ends says so in the audit log. */
function endEntry(next: Snapshot): AuditEntry {
  const success = next.status === 'SUCCEEDED'
  return {
    ...{
      id: newUuid(),
      type: 'execution.finished',
      severity: success ? 'INFO' : 'NOTICE',
      at: iso(next.endedAt)!,
      actorKind: 'SYSTEM',
    },
    ...{ flowId: next.flowId, executionId: next.id, success, durationMs: (next.endedAt ?? 0) - next.createdAt },
    ...(next.error && { errorCode: next.error.code }),
    metadata: { status: next.status },
  }
}
