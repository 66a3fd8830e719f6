/** Tries an execution that has ended again: a new execution that uses again what succeeded, or begins from the start. */
import { auditEntry } from '../../audit/record-audit.ts'
import { hashOf } from '../../canonical-json.ts'
import type { Execution } from '../../engine/entities/execution.ts'
import type { Idempotency, PlannedRetry, StartOrder } from '../../engine/engine.ts'
import { isProblem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck, MAX_KEY, MAX_REASON } from '../check-arguments.ts'
import { findFlowLevel } from '../flows/find-flow.ts'
import { getExecution } from './get-execution.ts'
import { mayControlExecution, mayStartExecutions, requirePrincipal } from '../permissions.ts'
import { planRetry } from './plan-retry.ts'
import type { RetryChoice } from './plan-retry.ts'
import { forbid } from '../refuse.ts'
import { begin, checkInput } from './start-execution.ts'
import type { Started } from './start-execution.ts'

export interface RetryExecution extends RetryChoice {
  /** instead of what it was given; then nothing is used again */
  input?: unknown
  /** kept in the history of the new execution, for people */
  reason?: string | undefined
  idempotencyKey?: string | undefined
}

/**
 * Resolves when the new execution is committed. Whoever asks started the first one, or is an administrator, and may start the flow
 * now. Problems: NOT_FOUND, VALIDATION, ILLEGAL_STATE, LIMIT_REACHED, STATE_TOO_LARGE, IDEMPOTENCY_MISMATCH. Throws FORBIDDEN.
 */
export async function retryExecution(call: Call, args: RetryExecution): Promise<Started | Problem> {
  const principal = requirePrincipal(call)
  const execution = await getExecution(call, args.id)
  if (isProblem(execution)) return execution
  const { flowId } = execution
  const refuse = () => forbid(call, { type: 'execution.retryRefused', executionId: args.id, flowId })
  if (!mayControlExecution(principal, execution)) return refuse()
  const wrong = checkArguments(args)
  if (wrong) return wrong

  const key = keyOf(args, principal.actsAs)
  const before = await startedBefore(call, key)
  if (before) return before
  const fromStart = args.fromStart || args.input !== undefined
  const planned = await planRetry(call, { ...args, fromStart }, flowId)
  if (!mayStartExecutions(principal, { level: await findFlowLevel(call, flowId) }, isProblem(planned) ? {} : planned.program))
    return refuse()
  // a call with this key may have come first meanwhile
  if (isProblem(planned)) return (await startedBefore(call, key)) ?? planned
  const order = orderOf(call, args, execution, planned)
  return isProblem(order) ? order : begin({ ...call, principal }, { ...order, ...(key && { idempotency: key }) })
}

async function startedBefore(call: Call, key: Idempotency | undefined) {
  const before = key && (await call.services.engine.startedBefore(key))
  return before && !isProblem(before) ? { ...before, replayed: true } : before
}

function checkArguments({ from, fromStart, input, reason, idempotencyKey }: RetryExecution): Problem | undefined {
  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  check.text(['reason'], reason, MAX_REASON)
  if (from !== undefined && (fromStart || input !== undefined))
    check.add('INVALID_VALUE', ['from'], 'With `fromStart`, and with another `input`, it begins from the start.')
  return check.problem
}

/** Keys of starts and of retries do not meet: these have a line break, which no caller's key has. */
function keyOf({ id, from, fromStart, input, newestVersion, idempotencyKey }: RetryExecution, principalId: string) {
  if (idempotencyKey === undefined) return undefined
  const inputHash = hashOf([id, from ?? null, fromStart ?? false, input ?? null, newestVersion ?? false])
  return { principalId, key: `retry\n${idempotencyKey}`, inputHash } satisfies Idempotency
}

/** Its labels and its priority are those of the first one. */
function orderOf(
  call: Call,
  { input, reason }: RetryExecution,
  { id, flowId }: Pick<Execution, 'id' | 'flowId'>,
  { flowVersionId, program, priority, labels, retry, ...given }: PlannedRetry,
): StartOrder | Problem {
  const checked = checkInput(program, input ?? given.input)
  if (isProblem(checked)) return checked
  const metadata = { retryOf: encodeId('execution', id), ...(retry.from !== undefined && { from: retry.from }) }
  return {
    ...{ flowId, flowVersionId, program, input: checked.input, inputText: checked.text, priority },
    initiatorId: requirePrincipal(call).actsAs,
    runningLimit: call.services.limits.runningPerInitiator,
    audit: [auditEntry(call, { type: 'execution.started', flowId, metadata })],
    ...(labels && { labels }),
    retry: { ...retry, ...(reason && { reason }) },
  }
}
