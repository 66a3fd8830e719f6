/** What trying an execution again would do, step by step; it changes nothing. */
import { sql } from 'kysely'
import { Flow } from '../../engine/entities/flow.ts'
import type { PlannedStep } from '../../engine/decide/plan-retry.ts'
import type { PlannedRetry } from '../../engine/engine.ts'
import { isProblem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { getExecution } from './get-execution.ts'
import { requirePrincipal, visibleFlows } from '../permissions.ts'
import { selectRows } from '../select-rows.ts'

export interface RetryChoice {
  /** UUID */
  id: string
  /** the step to begin with; what follows it runs again too */
  from?: string | undefined
  /** nothing is used again */
  fromStart?: boolean | undefined
  /** of the flow's newest version, instead of the one that ran */
  newestVersion?: boolean | undefined
}

export interface RetryPlan {
  /** why it cannot be tried again so; null: it can */
  whyNot: string | null
  /** UUID of the version that would run; null when it cannot be tried again */
  flowVersionId: string | null
  steps: readonly PlannedStep[]
}

/** Null when there is no such execution, or none that the caller may see. */
export async function readRetryPlan(call: Call, choice: RetryChoice): Promise<RetryPlan | null> {
  const execution = await getExecution(call, choice.id)
  if (isProblem(execution)) return null
  if (choice.newestVersion && !(await seesFlow(call, execution.flowId)))
    return { whyNot: 'You may not see what the flow is now.', flowVersionId: null, steps: [] }
  const planned = await planRetry(call, choice, execution.flowId)
  if (!isProblem(planned)) return { whyNot: null, flowVersionId: planned.flowVersionId, steps: planned.steps }
  const issues = (planned.issues ?? []).map(
    ({ path, message, hint }) => `${path.join('.')}: ${message}${hint ? ` (${hint})` : ''}`,
  )
  return { whyNot: [planned.message, ...issues].join(' '), flowVersionId: null, steps: [] }
}

/** Of an execution that the caller was shown. Problems: ILLEGAL_STATE, VALIDATION, NOT_FOUND. */
export async function planRetry(call: Call, choice: RetryChoice, flowId: string): Promise<PlannedRetry | Problem> {
  const { id, from, fromStart, newestVersion = false } = choice
  const flowVersionId = newestVersion ? await findNewestVersion(call, flowId) : undefined
  return call.services.engine.planRetry({
    ...{ executionId: id, from, fromStart },
    ...(flowVersionId !== undefined && { flowVersionId }),
  })
}

/** Whoever saw an execution of it may not see it any more: the version that ran is known to them, a newer one is not. */
async function seesFlow(call: Call, flowId: string): Promise<boolean> {
  const where = sql`t.id = ${flowId} and ${visibleFlows(requirePrincipal(call))}`
  return (await selectRows(call, Flow, { where })).length > 0
}

async function findNewestVersion(call: Call, flowId: string): Promise<string | undefined> {
  const newest = sql`, (select v.id from sluice.flow_versions as v where v.flow_id = t.id and v.number = t.latest_number) as newest`
  const [flow] = await selectRows<Flow, never, { newest: string }>(call, Flow, { where: sql`t.id = ${flowId}`, also: newest })
  return flow?.newest
}
