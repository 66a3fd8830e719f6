/**
 * Starts the child of a `flow` step, by the id that its parent has stored: whoever tries it again finds it there. It begins when it
 * is claimed like any other, after its parent was looked at once more.
 */
import type { AuditEntry } from '../../audit/audit-entry.ts'
import type { Database } from '../../database/database.ts'
import { isProblem } from '../../errors.ts'
import { decodeId } from '../../ids.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { JsonObject } from '../../language/values.ts'
import type { FlowSpec } from '../../language/steps/flow.ts'
import type { Logger } from '../../log.ts'
import { traceExecution } from '../../tracing.ts'
import { createTrouble } from '../../trouble.ts'
import type { Mailboxes } from '../mailboxes.ts'
import { newSnapshot } from '../new-snapshot.ts'
import { slotOf } from '../slots.ts'
import type { StartRates } from '../start-rates.ts'
import type { Programs } from '../programs.ts'
import type { ActCall, ActOutcome, ActRunner } from './act-runner.ts'
import { refused, runOwnAct } from './own-act.ts'

/** UUIDs of the execution whose step it is. */
export interface ChildOrder {
  executionId: string
  flowId: string
  initiatorId: string
  /** `name` of the same owner, or `owner/name` */
  flow: string
  version?: number
}

export type ChosenChild =
  | { ok: true; flowId: string; flowVersionId: string; audit: readonly AuditEntry[] }
  | { ok: false; code: 'FLOW_NOT_FOUND' | 'NOT_ALLOWED'; message: string }

/** Which flow it is and its version, if whoever started the parent may start it now. */
export type ChooseChild = (order: ChildOrder) => Promise<ChosenChild>

export interface ChildStarterOptions {
  database: Database
  programs: Programs
  log: Logger
  chooseChild: ChooseChild | undefined
  /** children of one initiator that have not ended */
  most: number
  rates: StartRates
  begin: Mailboxes['begin']
}

/** An execution, its child, the child of that, and so on. */
const MAX_DEPTH = 10

const PARENT_TEXT = `
  with recursive up as (
    select id, parent_id, 1 as depth from sluice.executions where id = $1
    union all
    select p.id, p.parent_id, up.depth + 1 from up join sluice.executions p on p.id = up.parent_id where up.depth < ${MAX_DEPTH})
  select e.flow_id, e.initiator_id, e.priority, o.initiators, (select max(depth) from up) as depth,
    exists (select from sluice.executions c where c.id = $2) as started,
    (select count(*) from (select from sluice.executions c
      where c.initiator_id = e.initiator_id and c.parent_id is not null and c.ended_at is null limit $3) as x)::integer as children
  from sluice.executions e left join sluice.execution_origins o on o.execution_id = e.id where e.id = $1`

interface Parent {
  flow_id: string
  initiator_id: string
  priority: number
  /** when it is a retry, or of one */
  initiators: string[] | null
  depth: number
  started: boolean
  children: number
}

export function createChildStarter(options: ChildStarterOptions): ActRunner<FlowSpec> {
  /** by initiator, those that are not counted by the database yet; other processes may start some at the same moment */
  const starting = new Map<string, number>()
  const trouble = createTrouble({ log: options.log, message: 'starting a child failed, trying again' })
  return { hasRoom: () => true, run: (call) => runOwnAct(trouble, () => startChild(options, starting, call)) }
}

async function startChild(
  options: ChildStarterOptions,
  starting: Map<string, number>,
  call: ActCall<FlowSpec>,
): Promise<ActOutcome> {
  const { database, most } = options
  const id = call.childId!
  const parentId = decodeId('execution', call.executionId)!
  const [parent] = await database.query<Parent>(PARENT_TEXT, [parentId, id, most])
  if (!parent) return refused('CANCELED', 'Its execution is not there any more.')
  if (parent.started) return STARTED
  if (parent.depth >= MAX_DEPTH) return refused('TOO_MANY_CHILDREN', `Flows may call each other ${MAX_DEPTH} deep.`, LAST)
  const { initiator_id: initiatorId } = parent
  const begun = starting.get(initiatorId) ?? 0
  if (parent.children + begun >= most)
    return refused('TOO_MANY_CHILDREN', `At most ${most} children of one initiator may be under way.`)
  starting.set(initiatorId, begun + 1)
  try {
    return await admitAndBegin(options, parent, parentId, call)
  } finally {
    const left = starting.get(initiatorId)! - 1
    if (left > 0) starting.set(initiatorId, left)
    else starting.delete(initiatorId)
  }
}

async function admitAndBegin(
  { database, programs, chooseChild, begin, rates }: ChildStarterOptions,
  parent: Parent,
  parentId: string,
  { spec, ...call }: ActCall<FlowSpec>,
): Promise<ActOutcome> {
  const id = call.childId!
  const { flow_id: flowId, initiator_id: initiatorId } = parent
  const asked = { executionId: parentId, flowId, initiatorId, flow: spec.flow }
  const chosen = await chooseChild?.({ ...asked, ...(spec.version !== undefined && { version: spec.version }) })
  if (!chosen?.ok) return refused(chosen?.code ?? 'FLOW_NOT_FOUND', chosen?.message ?? 'There are no flows here.', LAST)
  const program = await programs.get(chosen.flowVersionId)
  if (isProblem(program)) return refused('NOT_ALLOWED', program.issues?.[0]?.message ?? program.message, LAST)
  const input = call.input as JsonObject
  const payload = checkPayload(input, MAX_STATE_BYTES)
  if (!payload.ok) return refused('INVALID_INPUT', payload.message, LAST)
  const issues = program.checkInput(input)
  if (issues.length > 0) {
    return refused('INVALID_INPUT', issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join(' '), LAST)
  }
  const rate = program.rates && (await rates.take({ flowId: chosen.flowId, initiatorId, program, input }))
  if (rate?.kind === 'noKey') return refused('INVALID_INPUT', `The input gives no key: ${rate.message}`, LAST)
  if (rate?.kind === 'refused') return refused('LIMIT_REACHED', rate.message, { retryAfterMs: rate.retryAfterMs })
  const { initiators } = parent
  const order = {
    ...{ id, parentId, flowId: chosen.flowId, flowVersionId: chosen.flowVersionId, initiatorId, program, input },
    priority: program.priority ?? parent.priority,
    ...(initiators && { origin: { initiators } }),
  }
  const inputText = payload.text
  const now = database.clock.now()
  const slot = slotOf(program, input)
  if (!slot.ok) return refused('INVALID_INPUT', `The input gives no key: ${slot.message}`, LAST)
  const limits = { runningLimit: null, ...(slot.value && { slot: slot.value }) }
  const origin = initiators && { origin: { paths: [], initiators } }
  const traceparent = traceExecution(id)
  const traced = traceparent !== undefined && { traceparent }
  const start = { inputText, priority: order.priority, labels: null, parentId, retryOf: null, ...limits, ...origin, ...traced }
  const audits = chosen.audit.map((entry) => ({ ...entry, executionId: id, flowId: chosen.flowId }))
  // a tick: it is not begun here, so that two who start it at once do no harm
  const { result } = await begin(newSnapshot(order, payload.bytes, now, slot.value), { kind: 'tick' }, { start, audits })
  if (result !== 'noSlot') return STARTED
  if (rate) rate.giveBack()
  return refused('LIMIT_REACHED', 'As many executions of the flow run and wait as may.')
}

const LAST = { retryable: false }
const STARTED: ActOutcome = { ok: true, text: 'null', bytes: 4 }
