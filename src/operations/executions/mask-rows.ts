/** The texts in rows of executions and agent requests that may quote something sensitive: shown masked, to everybody. */
import type { AgentRequest } from '../../engine/entities/agent-request.ts'
import type { Execution } from '../../engine/entities/execution.ts'
import type { Call } from '../call.ts'

/** Null rows stay null. The rows belong to nobody else: they are changed in place. */
export async function maskExecutions<Row extends Execution | null>(
  call: Pick<Call, 'services'>,
  executions: Row[],
): Promise<Row[]> {
  const telling = executions.filter((row) => row && (row.error ?? row.reason ?? row.cancelReason ?? row.pauseReason))
  const masks = await call.services.engine.masks(telling.map((row) => row!.id))
  for (const row of telling) masks.get(row!.id)!.hideIn(row!)
  return executions
}

/** The same. */
export async function maskRequests<Row extends Pick<AgentRequest, 'executionId' | 'subject'> | null>(
  call: Pick<Call, 'services'>,
  requests: Row[],
): Promise<Row[]> {
  const masks = await call.services.engine.masks(requests.flatMap((row) => row?.executionId ?? []))
  for (const row of requests) if (row) row.subject = masks.get(row.executionId)!.text(row.subject)
  return requests
}
