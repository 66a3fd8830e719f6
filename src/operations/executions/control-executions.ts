/**
 * Canceling, pausing, resuming and retrying many executions at once, by a filter. A call does a bounded part and tells how many are
 * left: what it did does not match any more, so that it is repeated until nothing is, also after a crash in the middle of it.
 */
import { sql } from 'kysely'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import type { ExecutionStatus } from '../../engine/states.ts'
import { EXECUTION_STATUSES, hasEnded } from '../../engine/states.ts'
import { Fault, isProblem, problem } from '../../errors.ts'
import type { Problem, ProblemCode } from '../../errors.ts'
import { claimBulk, findBulk } from './claim-bulk.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck, MAX_KEY, MAX_REASON } from '../check-arguments.ts'
import { orderControl } from './control-execution.ts'
import { lastingConditions, wantedExecutions } from './list-executions.ts'
import type { ExecutionFilter, WantedExecutions } from './list-executions.ts'
import { eachOf, idsOf } from '../page.ts'
import { requirePrincipal, waysToControlled } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { retryExecution } from './retry-execution.ts'
import type { Condition } from '../select-rows.ts'

export type BulkVerb = 'cancel' | 'pause' | 'resume' | 'retry'

export interface ControlExecutions {
  filter: ExecutionFilter
  /** kept with each execution, for people */
  reason?: string | undefined
  /** only count */
  dryRun?: boolean | undefined
  /** how many there must be when it begins */
  expectedCount?: number | undefined
  idempotencyKey?: string | undefined
}

export interface Bulk {
  /** how many there were when the call began; counted to MOST_COUNTED */
  matched: number
  done: number
  /** in order; those whose state has changed meanwhile, and those that a limit or a right keeps back */
  refused: { executionId: string; code: ProblemCode | 'FORBIDDEN'; message: string }[]
  /** how many there are now */
  remaining: number
}

export const MOST_COUNTED = 10_000
/** Done by one call; retries read what each of them uses again. */
export const MOST_AT_ONCE: Readonly<Record<BulkVerb, number>> = { cancel: 1000, pause: 1000, resume: 1000, retry: 100 }
const TOGETHER = 100
/** What is refused for good comes first every time: a call goes past so much of it, in so many reads. */
const MOST_REFUSED = 1000
const MOST_READS = 10

const living = EXECUTION_STATUSES.filter((status) => !hasEnded(status))
const GOES_ON = sql`t.cancel_reason is null and t.ending is null`
/** What it is done to: their states, what else is true of them, and what the audit log calls it. */
const VERBS: Readonly<Record<BulkVerb, { statuses: readonly ExecutionStatus[]; are: Condition; audited: string }>> = {
  cancel: { statuses: living, are: GOES_ON, audited: 'executions.canceled' },
  pause: { statuses: living, are: sql`t.pause_reason is null and ${GOES_ON}`, audited: 'executions.paused' },
  resume: { statuses: living, are: sql`t.pause_reason is not null`, audited: 'executions.resumed' },
  retry: {
    statuses: ['FAILED', 'CANCELED', 'TIMED_OUT'],
    // without its input it cannot be tried again: the oldest, which come first, would keep all others from it
    are: sql`not exists (select from sluice.executions as r where r.retry_of = t.id)
      and exists (select from sluice.execution_inputs as i where i.execution_id = t.id)`,
    audited: 'executions.retried',
  },
}

/** Problems: VALIDATION, ILLEGAL_STATE (`expectedCount`), LIMIT_REACHED, IDEMPOTENCY_MISMATCH. Throws FORBIDDEN. */
export async function controlExecutions(call: Call, verb: BulkVerb, args: ControlExecutions): Promise<Bulk | Problem> {
  const principal = requirePrincipal(call)
  if (waysToControlled(principal).length === 0) return forbid(call, { type: 'executions.controlRefused', metadata: { verb } })
  const wrong = checkArguments(args)
  if (wrong) return wrong
  const wanted = await wantedExecutions(call, args.filter)
  if (args.dryRun) {
    const matched = await count(call, verb, wanted)
    return { matched, done: 0, refused: [], remaining: matched }
  }
  const known = await findBulk(call, verb, args)
  if (isProblem(known)) return known
  const matched = await count(call, verb, wanted, known)
  if (args.expectedCount !== undefined && known === undefined && matched !== args.expectedCount)
    return problem('ILLEGAL_STATE', { path: ['expectedCount'], message: `There are ${matched} of them now; nothing was done.` })
  // also when there is none: a call that comes again must not take in what came meanwhile
  const beforeId = known ?? (await claimBulk(call, verb, args))
  if (isProblem(beforeId)) return beforeId
  if (!wanted || matched === 0) return { matched: 0, done: 0, refused: [], remaining: 0 }
  await noteBulk(call, verb, args, matched)
  const { done, refused } = await doSome(call, verb, args, { wanted, beforeId })
  return { matched, done, refused, remaining: await count(call, verb, wanted, beforeId) }
}

function checkArguments({ reason, expectedCount, idempotencyKey }: ControlExecutions): Problem | undefined {
  const check = new ArgumentCheck()
  check.text(['reason'], reason, MAX_REASON)
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  check.whole(['expectedCount'], expectedCount, 0, MOST_COUNTED)
  return check.problem
}

type Wanted = WantedExecutions

/** UUIDs */
interface Found {
  id: string
  flowId: string
}

/** `id > afterId and id < beforeId` */
interface Part {
  limit: number
  beforeId?: string | undefined
  afterId?: string | undefined
}

/** Children go with their parents, unless they are named by their flow or their parent. */
function idsToControl(call: Call, verb: BulkVerb, wanted: Wanted, page: Part): Condition {
  const { statuses, are } = VERBS[verb]
  const { limit, beforeId, afterId } = page
  const matching = wanted.status ? statuses.filter((status) => wanted.status!.includes(status)) : statuses
  if (matching.length === 0) return sql`'{}'::uuid[]`
  const named = wanted.flowId !== undefined || wanted.parentId !== undefined
  return idsOf({
    table: 'sluice.executions',
    ways: eachOf(waysToControlled(requirePrincipal(call)), 'status', matching),
    filters: [...lastingConditions(wanted), are, ...(named ? [] : [sql`t.parent_id is null`])],
    page: { limit, descending: false, ...(beforeId !== undefined && { beforeId }), ...(afterId !== undefined && { afterId }) },
  })
}

async function find(call: Call, ...of: [BulkVerb, Wanted, Part]): Promise<Found[]> {
  const { rows } = await sql<Found>`
    select id, flow_id as "flowId" from sluice.executions where id = any(${idsToControl(call, ...of)}) order by id`.execute(
    fork(call),
  )
  return rows
}

async function count(call: Call, verb: BulkVerb, wanted: Wanted | undefined, beforeId?: string): Promise<number> {
  if (!wanted) return 0
  const ids = idsToControl(call, verb, wanted, { limit: MOST_COUNTED, beforeId })
  const { rows } = await sql<{ count: number }>`select cardinality(${ids}) as count`.execute(fork(call))
  return rows[0]?.count ?? 0
}

/** As of now, not as of an earlier read of this call. */
const fork = (call: Call) => call.services.database.fork().getKysely<unknown>()

/** What was asked for, in one row; each execution has its own beside it. */
function noteBulk(call: Call, verb: BulkVerb, { filter, reason }: ControlExecutions, matched: number): Promise<void> {
  const metadata = { filter, matched, ...(reason !== undefined && { reason }) }
  return call.services.database.transaction((em) =>
    recordAudit(em, auditEntry(call, { type: VERBS[verb].audited, severity: 'NOTICE', metadata })),
  )
}

/** As many as one call does, past those that are refused. */
async function doSome(
  call: Call,
  verb: BulkVerb,
  args: ControlExecutions,
  { wanted, beforeId }: { wanted: Wanted; beforeId: string | undefined },
): Promise<Pick<Bulk, 'done' | 'refused'>> {
  const refused: Bulk['refused'] = []
  let done = 0
  let afterId: string | undefined
  for (let reads = 0; reads < MOST_READS && refused.length < MOST_REFUSED; reads++) {
    const limit = MOST_AT_ONCE[verb] - done
    const found = await find(call, verb, wanted, { limit, beforeId, afterId })
    const refusedNow = await doAll(call, verb, args, found)
    refused.push(...refusedNow)
    done += found.length - refusedNow.length
    afterId = found.at(-1)?.id
    const isOver = found.length < limit || done === MOST_AT_ONCE[verb]
    if (isOver || refusedNow.some(({ code }) => code === 'LIMIT_REACHED')) break
  }
  return { done, refused }
}

/** Some at once: they are committed together. It stops where a limit does, and when the caller has gone. */
async function doAll(call: Call, verb: BulkVerb, args: ControlExecutions, all: readonly Found[]): Promise<Bulk['refused']> {
  const refused: Bulk['refused'] = []
  for (let at = 0; at < all.length; at += TOGETHER) {
    const some = all.slice(at, at + TOGETHER)
    const answers = await Promise.all(some.map((one) => doOne(call, verb, args, one)))
    for (const [index, answer] of answers.entries()) if (answer) refused.push({ executionId: some[index]!.id, ...answer })
    const stopped = call.signal.aborted || answers.some((answer) => answer?.code === 'LIMIT_REACHED')
    if (!stopped) continue
    const why = { code: 'LIMIT_REACHED', message: 'It was not come to: a limit was reached before.' } as const
    return [...refused, ...all.slice(at + TOGETHER).map(({ id }) => ({ executionId: id, ...why }))]
  }
  return refused
}

type Refusal = Omit<Bulk['refused'][number], 'executionId'>

/** Of two calls that come to it at once one tries an execution again. */
async function doOne(
  call: Call,
  verb: BulkVerb,
  { reason }: ControlExecutions,
  { id, flowId }: Found,
): Promise<Refusal | undefined> {
  if (verb !== 'retry') return refusalOf(await orderControl(call, verb, { id, flowId }, reason))
  try {
    return refusalOf(await retryExecution(call, { id, ...(reason !== undefined && { reason }) }))
  } catch (error) {
    if (error instanceof Fault && error.code === 'FORBIDDEN') return { code: 'FORBIDDEN', message: error.message }
    throw error
  }
}

const refusalOf = (answer: object | Problem): Refusal | undefined =>
  isProblem(answer) ? { code: answer.problem, message: answer.message } : undefined
