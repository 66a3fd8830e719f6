import { expect, test } from 'vitest'
import { signatureOf } from '../../src/audit/audit-entry.ts'
import type { AuditEntry } from '../../src/audit/audit-entry.ts'
import { rowArray } from '../../src/database/binary-rows.ts'
import type { Transition } from '../../src/engine/decide/draft.ts'
import { encodeTransition, LISTS } from '../../src/engine/encode.ts'
import type { Extras, ListName } from '../../src/engine/encode.ts'
import { newUuid } from '../../src/ids.ts'
import { signAudit } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase()

const TYPES: Record<ListName, string> = {
  ...{ starts: 'start_row_30', updates: 'update_row_16', step_runs: 'step_run_row', events: 'event_row', asks: 'ask_row' },
  ...{ closed_asks: 'closed_ask_row', outputs: 'output_row', reads: 'read_row', sends: 'send_row', keys: 'key_row' },
  ...{ audits: 'audit_row', waits: 'wait_row', slots: 'slot_row' },
}

/** Each value once, so that two columns that changed places show. */
let last = 0
const number = (): number => ++last
const at = (): number => 1_700_000_000_000 + number() * 1000
const text = (what: string): string => `${what} ${number()}`
const id = newUuid()
const next = {
  ...{
    id,
    flowId: newUuid(),
    flowVersionId: newUuid(),
    initiatorId: newUuid(),
    program: { steps: Array(number()), step: () => ({}), pool: text('pool') },
  },
  ...{ status: 'FAILED', version: number(), epoch: number(), owner: newUuid(), wakeAt: at(), deadlineAt: at() },
  ...{
    cancelReason: text('cancel'),
    pauseReason: text('pause'),
    ending: 'FAILED',
    seq: number(),
    lastEventAt: at(),
    stateBytes: number(),
  },
  ...{ createdAt: at(), startedAt: at(), endedAt: at(), reason: text('reason'), error: { code: text('code'), message: 'm' } },
  steps: new Map([
    ['a', { status: 'SUCCEEDED' }],
    ['b', { status: 'FAILED' }],
    ['c', { status: 'FAILED' }],
    ['d', { status: 'SKIPPED' }],
    ['e', { status: 'SKIPPED' }],
    ['f', { status: 'SKIPPED' }],
  ]),
  inFlight: [{ path: text('path') }],
}
const run = {
  ...{ path: text('path'), name: text('name'), type: text('type'), status: text('status'), attempt: number() },
  ...{
    startedAt: at(),
    finishedAt: at(),
    route: text('route'),
    input: text('in'),
    output: text('out'),
    error: { code: text('e') },
  },
}
const event = {
  seq: number(),
  type: text('type'),
  at: at(),
  step: text('step'),
  path: text('path'),
  attempt: number(),
  data: [number()],
}
const ask = {
  ...{ id: newUuid(), path: text('path'), attempt: number(), kind: 'NOTICE', role: text('role'), subject: text('subject') },
  ...{ body: [number()], deadlineAt: at() },
}
const closed = { id: newUuid(), status: 'ANSWERED', decision: text('decision'), answer: [number()], answeredBy: newUuid() }
const taken = { seq: number(), path: text('path') }
const transition = {
  ...{ from: { version: next.version, epoch: number() }, next, changed: true, events: [event], stepRuns: [run], asks: [ask] },
  ...{ closedAsks: [closed], readMessages: [text('key')], output: [number()] },
  waits: [{ kind: 'taken', ...taken }],
  words: [],
} as unknown as Transition
const send = { executionId: newUuid(), key: text('key'), kind: 'cancel', body: { reason: text('reason') } } as const
const idempotency = { principalId: newUuid(), key: text('key'), inputHash: Buffer.from(text('hash')) }
const key = { idempotency, operation: text('operation'), subjectId: newUuid() }
const audit: Required<AuditEntry> = {
  ...{
    id: newUuid(),
    type: text('type'),
    severity: 'NOTICE' as const,
    at: new Date(at()).toISOString(),
    actorKind: 'USER' as const,
    actorId: newUuid(),
  },
  ...{ flowId: newUuid(), executionId: newUuid(), success: true, durationMs: number() + 0.5, tokens: number() },
  ...{ errorCode: text('code'), metadata: { is: text('metadata') }, ip: text('ip'), userAgent: text('agent'), sign: signAudit },
}
const start = {
  ...{ inputText: '{"is":1}', priority: number(), labels: { a: text('label') }, parentId: newUuid(), retryOf: newUuid() },
  ...{ runningLimit: number(), idempotency, triggerId: newUuid() },
  slot: { key: text('slot'), hidden: true, most: number(), mostQueued: number(), onLimit: 'cancelOlder' as const, dueAt: at() },
}
const date = (ms: number): Date => new Date(ms)

const execution = {
  ...{
    status: next.status,
    epoch: next.epoch,
    owner: next.owner,
    wake_at: date(next.wakeAt),
    deadline_at: date(next.deadlineAt),
  },
  ...{ cancel_reason: next.cancelReason, pause_reason: next.pauseReason, seq: next.seq, last_event_at: date(next.lastEventAt) },
  ...{ mark: 12_345, state_bytes: next.stateBytes, steps_succeeded: 1, steps_failed: 2, steps_skipped: 3 },
  ...{ in_flight: next.inFlight, started_at: date(next.startedAt), ended_at: date(next.endedAt), reason: next.reason },
  ...{ id, error: next.error, ending: next.ending },
}
const expected: Record<ListName, object> = {
  starts: {
    ...{ ...execution, flow_id: next.flowId, flow_version_id: next.flowVersionId, initiator_id: next.initiatorId },
    ...{
      parent_id: start.parentId,
      retry_of: start.retryOf,
      trigger_id: start.triggerId,
      priority: start.priority,
      labels: start.labels,
    },
    ...{ created_at: date(next.createdAt), steps_total: next.program.steps.length, input: { is: 1 } },
    ...{ running_limit: start.runningLimit, principal_id: idempotency.principalId, key: idempotency.key },
    ...{ input_hash: idempotency.inputHash, pool: next.program.pool },
  },
  updates: { ...execution, version: next.version },
  step_runs: {
    ...{ execution_id: id, path: run.path, name: run.name, type: run.type, status: run.status, attempt: run.attempt },
    ...{ started_at: date(run.startedAt), finished_at: date(run.finishedAt), route: run.route, input: run.input },
    ...{ output: run.output, error: run.error },
  },
  events: { ...event, execution_id: id, at: date(event.at) },
  asks: {
    ...{ id: ask.id, execution_id: id, flow_id: next.flowId, initiator_id: next.initiatorId, path: ask.path },
    ...{ attempt: ask.attempt, kind: ask.kind, role: ask.role, subject: ask.subject, body: ask.body, status: 'DELIVERED' },
    ...{ created_at: date(next.lastEventAt), deadline_at: date(ask.deadlineAt) },
  },
  closed_asks: {
    ...{ execution_id: id, id: closed.id, status: closed.status, decision: closed.decision, answer: closed.answer },
    ...{ answered_by: closed.answeredBy, answered_at: date(next.lastEventAt) },
  },
  outputs: { execution_id: id, body: transition.output },
  reads: { execution_id: id, key: transition.readMessages[0] },
  sends: { execution_id: send.executionId, key: send.key, sender_id: id, kind: send.kind, body: send.body },
  keys: {
    ...{ execution_id: id, principal_id: idempotency.principalId, operation: key.operation, key: idempotency.key },
    ...{ input_hash: idempotency.inputHash, subject_id: key.subjectId },
  },
  audits: {
    ...{ of: id, id: audit.id, at: new Date(audit.at), type: audit.type, severity: audit.severity, actor_kind: audit.actorKind },
    ...{ actor_id: audit.actorId, flow_id: audit.flowId, execution_id: audit.executionId, success: audit.success },
    ...{ duration_ms: audit.durationMs, tokens: audit.tokens, error_code: audit.errorCode, metadata: audit.metadata },
    ...{ ip: audit.ip, user_agent: audit.userAgent, mac: signatureOf(audit) },
  },
  waits: { execution_id: id, kind: 'taken', body: taken },
  slots: {
    ...{ execution_id: id, kind: 'ask', flow_id: next.flowId, key: start.slot.key, hidden: true, most: start.slot.most },
    ...{ most_queued: start.slot.mostQueued, cancels_older: true, priority: start.priority, due_at: date(start.slot.dueAt) },
  },
}

test.each(LISTS)('the rows of %s are written in the order of their type', async (list) => {
  const extras: Extras = {
    sends: [send],
    keys: [key],
    audits: [audit],
    ...((list === 'starts' || list === 'slots') && { start }),
  }
  const rows = encodeTransition(transition, 12_345, signAudit, extras)[list]!
  const read = await database.query(`select * from unnest($1::sluice.${TYPES[list]}[])`, [rowArray([rows])])
  expect(read[0]).toEqual(expected[list])
})

test('an execution that ends says so in the audit log', async () => {
  const { audits } = encodeTransition(transition, 1, signAudit)
  const read = await database.query('select * from unnest($1::sluice.audit_row[])', [rowArray([audits!])])
  expect(read).toMatchObject([
    { of: id, type: 'execution.finished', severity: 'NOTICE', success: false, error_code: next.error.code },
  ])
})
