/** Tells a running execution something that its steps may wait for, now or later. */
import { hashOf } from '../../canonical-json.ts'
import { auditEntry } from '../../audit/record-audit.ts'
import type { Execution } from '../../engine/entities/execution.ts'
import { isProblem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { didYouMean } from '../../language/nearest-name.ts'
import { checkPayload, MAX_STATE_BYTES } from '../../language/payload.ts'
import type { Program } from '../../language/program.ts'
import type { Json } from '../../language/values.ts'
import { actorId } from '../actor-id.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck, MAX_KEY } from '../check-arguments.ts'
import { findFlowLevel } from '../flows/find-flow.ts'
import { getExecution } from './get-execution.ts'
import { maySignalExecution, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface SignalExecution {
  /** UUID */
  id: string
  signal: string
  data?: unknown
  idempotencyKey?: string | undefined
}

/**
 * Stored when it answers; whichever step waits for it takes it, or the next one that does. Problems: NOT_FOUND, VALIDATION,
 * ILLEGAL_STATE (it has ended), LIMIT_REACHED (too many wait to be taken), IDEMPOTENCY_MISMATCH. Throws FORBIDDEN.
 */
export async function signalExecution(
  call: Call,
  { id, signal, data = null, idempotencyKey }: SignalExecution,
): Promise<{ execution: Execution; replayed: boolean } | Problem> {
  const principal = requirePrincipal(call)
  const execution = await getExecution(call, id)
  if (isProblem(execution)) return execution
  const about = { executionId: id, flowId: execution.flowId }
  const level = await findFlowLevel(call, execution.flowId)
  if (!maySignalExecution(principal, execution, { level })) return forbid(call, { type: 'execution.signalRefused', ...about })

  const program = await call.services.engine.program(execution.flowVersionId)
  if (isProblem(program)) return program
  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], idempotencyKey, MAX_KEY)
  checkName(check, signal, program)
  const payload = checkPayload(data, MAX_STATE_BYTES)
  if (!payload.ok) check.add(payload.code, ['data'], payload.message)
  if (check.problem || !payload.ok) return check.problem!

  const sent = await call.services.engine.signal({
    ...{ executionId: id, name: signal, data: data as Json, bytes: payload.bytes },
    sentBy: actorId(principal),
    audit: [auditEntry(call, { type: 'execution.signaled', ...about, metadata: { signal } })],
    ...(idempotencyKey !== undefined && {
      idempotency: { principalId: principal.actsAs, key: idempotencyKey, inputHash: hashOf([id, signal, data]) },
    }),
  })
  if (isProblem(sent)) return sent
  const after = await getExecution(call, id)
  return isProblem(after) ? after : { execution: after, replayed: sent.replayed }
}

/** Only what some step waits for at some time: a name that is misspelt would wait for ever. */
function checkName(check: ArgumentCheck, signal: string, { signals = new Set() }: Pick<Program, 'signals'>): void {
  if (signals.has(signal)) return
  const hint = signals.size === 0 ? undefined : (didYouMean(signal, signals) ?? `it waits for ${[...signals].join(', ')}`)
  check.add('UNKNOWN_SIGNAL', ['signal'], 'No step of its flow version waits for a signal of this name.', hint)
}
