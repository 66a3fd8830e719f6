/** Reads what is left of an execution that ended, and says what trying it again would use again of it. */
import type { Database } from '../database/database.ts'
import { isProblem, problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { encodeId } from '../ids.ts'
import { didYouMean } from '../language/nearest-name.ts'
import type { Program } from '../language/program.ts'
import type { Json, JsonObject, StepFailure } from '../language/values.ts'
import { planRetry } from './decide/plan-retry.ts'
import type { EndedBefore, PlannedStep } from './decide/plan-retry.ts'
import type { StepRecord } from './decide/snapshot.ts'
import type { PlannedRetry, RetryOf, RetryQuestion } from './engine.ts'
import { changedSteps } from './changed-steps.ts'
import type { StoredDefinition } from './changed-steps.ts'
import type { Programs } from './programs.ts'
import type { EndedStepStatus, ExecutionStatus } from './states.ts'
import { hasEnded } from './states.ts'

interface Source {
  status: ExecutionStatus
  initiatorId: string
  flowVersionId: string
  priority: number
  labels: Record<string, string> | null
  /** null: removed, being old enough */
  input: string | null
  initiators: string[] | null
  /** the execution that used it again */
  retriedBy: string | null
  /** started by the same: whoever sees the one sees the other */
  retriedByOwn: boolean | null
  definition: StoredDefinition
  steps: StoredStep[] | null
}

interface StoredStep {
  path: string
  status: EndedStepStatus
  attempt: number
  route: string | null
  output: Json
  bytes: number | null
  error: StepFailure | null
  ended: number
  reusedFrom: string | null
  undone: boolean
}

const TEXT = `
  select e.status, e.initiator_id as "initiatorId", e.flow_version_id as "flowVersionId", e.priority, e.labels, v.definition,
    (select i.body::text from sluice.execution_inputs i where i.execution_id = e.id) as input,
    (select o.initiators from sluice.execution_origins o where o.execution_id = e.id) as initiators,
    o.execution_id as "retriedBy", r.initiator_id = e.initiator_id as "retriedByOwn",
    (select json_agg(json_build_object('path', s.path, 'status', s.status, 'attempt', s.attempt, 'route', s.route, 'output', s.output,
        'bytes', octet_length(s.output::text), 'error', s.error, 'ended', floor(extract(epoch from s.finished_at) * 1000),
        'reusedFrom', s.reused_from, 'undone', exists (select from sluice.step_runs c
          where c.execution_id = e.id and c.path = s.path || '.compensate' and c.status <> 'SKIPPED')))
      from sluice.step_runs s
      where s.execution_id = e.id and s.path = any(array(select json_object_keys(v.definition -> 'steps')))) as steps
  from sluice.executions e join sluice.flow_versions v on v.id = e.flow_version_id
  left join sluice.execution_origins o on o.retried = e.id left join sluice.executions r on r.id = o.execution_id
  where e.id = $1`

/** Initiators of one line of retries: more than these are not told apart from others any more. */
const MOST_INITIATORS = 1000

export async function planStoredRetry(
  database: Pick<Database, 'query'>,
  programs: Programs,
  question: RetryQuestion,
): Promise<PlannedRetry | Problem> {
  const { executionId, from, fromStart } = question
  const [source] = await database.query<Source>(TEXT, [executionId])
  if (!source) return problem('NOT_FOUND')
  const { status, input, priority, labels } = source
  if (!hasEnded(status)) return refused(`It is ${status}: only what has ended can be tried again.`)
  if (input === null) return refused('What it was given, and what came of its steps, was removed: it ended too long ago.')
  const flowVersionId = question.flowVersionId ?? source.flowVersionId
  const program = await programs.get(flowVersionId)
  if (isProblem(program)) return program
  const unknown = from === undefined ? undefined : unknownStep(program, from)
  if (unknown) return unknown
  const changed =
    flowVersionId === source.flowVersionId ? undefined : await findChanged(database, source.definition, flowVersionId)
  const before = source.steps ?? []
  const steps = planRetry(program, new Map(before.map((step) => [step.path, endedBefore(step, changed)])), { from, fromStart })
  const retry = retryOf(question, source, steps)
  if (retry.reuse && source.retriedBy !== null)
    return refused(
      triedAgain(source.retriedByOwn ? encodeId('execution', source.retriedBy) : 'what somebody else started for it'),
    )
  if (retry.reuse && status === 'SUCCEEDED' && !steps.some(({ action }) => action === 'RUN' || action === 'MAY_RUN'))
    return refused(
      'It succeeded, and nothing of it would run again: say which step to begin with, or that it begins from the start.',
    )
  return { steps, flowVersionId, program, input: JSON.parse(input) as JsonObject, inputText: input, priority, labels, retry }
}

const triedAgain = (what: string): string => `It was tried again already: try ${what} again, which goes on from there.`
const refused = (message: string): Problem => problem('ILLEGAL_STATE', { message })

function unknownStep(program: Program, name: string): Problem | undefined {
  if (program.step(name)) return undefined
  const hint = didYouMean(
    name,
    program.steps.map((step) => step.name),
  )
  const issue = { code: 'UNKNOWN_STEP', path: ['from'], message: 'There is no such step.', ...(hint !== undefined && { hint }) }
  return problem('VALIDATION', { issues: [issue] })
}

/** Steps that the other flow version defines differently. */
async function findChanged(
  database: Pick<Database, 'query'>,
  ran: StoredDefinition,
  flowVersionId: string,
): Promise<ReadonlySet<string>> {
  const [row] = await database.query<{ definition: StoredDefinition }>(
    'select definition from sluice.flow_versions where id = $1',
    [flowVersionId],
  )
  return changedSteps(ran, row?.definition ?? {})
}

const endedBefore = ({ path, status, route, undone }: StoredStep, changed: ReadonlySet<string> | undefined): EndedBefore => ({
  ...{ status, undone, changed: changed?.has(path) ?? false },
  ...(route !== null && { route }),
})

function retryOf({ executionId, from, fromStart = false }: RetryQuestion, source: Source, plan: readonly PlannedStep[]): RetryOf {
  const initiators = [...new Set([source.initiatorId, ...(source.initiators ?? [])])].slice(0, MOST_INITIATORS)
  const order: RetryOf = { executionId, initiators, ...(from !== undefined && { from }) }
  if (fromStart) return order
  const planned = new Map(plan.map((step) => [step.name, step.action]))
  const counted = (source.steps ?? []).filter(({ path, status }) => {
    const action = planned.get(path)
    return action === 'REUSE' || (action === 'SKIP' && status === 'SKIPPED')
  })
  const steps = new Map(counted.map((step) => [step.path, recordOf(step, executionId)]))
  return { ...order, reuse: { steps, bytes: counted.reduce((sum, { bytes }) => sum + (bytes ?? 0), 0) } }
}

const recordOf = ({ status, attempt, output, route, error, ended, reusedFrom }: StoredStep, executionId: string): StepRecord => ({
  ...{ status, attempt, reusedFrom: reusedFrom ?? executionId },
  ...(status === 'SUCCEEDED' && { output, endedAt: ended }),
  ...(route !== null && { route }),
  ...(error !== null && { error }),
})
