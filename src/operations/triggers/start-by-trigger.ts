/** Starts an execution as whoever published the trigger that fires: the same checks, limits and audit as for a call (C1, C2). */
import { auditEntry } from '../../audit/record-audit.ts'
import { together } from '../../database/together.ts'
import { Fault, isProblem } from '../../errors.ts'
import { findStoredPrincipals } from '../../identity/stored-principals.ts'
import type { StoredPrincipal } from '../../identity/stored-principals.ts'
import type { StartByTrigger, TriggeredResult, TriggeredStart } from '../../triggers/start-by-trigger.ts'
import { traced } from '../../tracing.ts'
import type { SpanOptions } from '../../tracing.ts'
import type { Services } from '../call.ts'
import { findFlowToStartById } from '../flows/find-flow-to-start.ts'
import { startFlow } from '../executions/start-execution.ts'

const NOT_ALLOWED = {
  ok: false,
  code: 'NOT_ALLOWED',
  message: 'Whoever published the trigger may not start this flow any more.',
} as const

/** Those that fire at once ask together who they run as. `services` is there when the first one fires. */
export function createStartByTrigger(services: () => Services): StartByTrigger {
  const find = together(async (ids: readonly string[]) => {
    const { database, allow } = services()
    const found = await findStoredPrincipals(database, ids, allow.roles)
    return ids.map((id) => found.get(id))
  })
  const startOne = async (start: TriggeredStart): Promise<TriggeredResult> => {
    const principal = await find(start.trigger.publishedBy)
    return principal ? startAs(services(), principal, start) : refuse(services(), start)
  }
  return (start) =>
    traced(
      `trigger ${start.trigger.type}`,
      () => startOne(start),
      () => spanOf(start),
    )
}

const spanOf = ({ trigger: { id, flowId } }: TriggeredStart): SpanOptions => ({
  attributes: { 'sluice.trigger': id, 'sluice.flow': flowId },
})

async function startAs(services: Services, principal: StoredPrincipal, start: TriggeredStart): Promise<TriggeredResult> {
  const { trigger, input, executionId, firing, labels, startAt } = start
  const flow = await findFlowToStartById(services.database, trigger.flowId, principal)
  if (!flow) return refuse(services, start, principal)
  const args = {
    ...{ input, idempotencyKey: `${trigger.id}:${firing}` },
    ...(labels && { labels: Object.entries(labels).map(([key, value]) => ({ key, value })) }),
    ...(startAt && { startAt }),
  }
  try {
    const startedBy = { ...trigger, ...(executionId && { executionId }) }
    const started = await startFlow({ principal, origin: {}, services }, flow, args, { trigger: startedBy, cacheTtlMs: 0 })
    if (!isProblem(started)) return { ok: true, executionId: started.executionId, replayed: started.replayed }
    const { problem: code, message, issues = [], retryAfterMs } = started
    const reasons = issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`)
    return { ok: false, code, message: reasons.join('; ') || message, ...(retryAfterMs !== undefined && { retryAfterMs }) }
  } catch (error) {
    if (error instanceof Fault && error.code === 'FORBIDDEN') return NOT_ALLOWED
    throw error
  }
}

/** Whoever published it is gone, or does not even see the flow. */
async function refuse(services: Services, { trigger }: TriggeredStart, principal?: StoredPrincipal): Promise<TriggeredResult> {
  const { type, name, flowId, publishedBy } = trigger
  const facts = { type: 'execution.startRefused', severity: 'NOTICE', success: false, errorCode: 'NOT_ALLOWED', flowId } as const
  const entry = auditEntry(
    { origin: {}, services },
    { ...facts, metadata: { trigger: { type, name } } },
    principal ?? { kind: 'SYSTEM' as const },
  )
  await services.refusals.record(publishedBy, entry)
  return NOT_ALLOWED
}
