/** The steps of an execution as people see them: those of its definition, merged with what has ended and what is under way. */
import { sql } from 'kysely'
import type { Execution } from '../../engine/entities/execution.ts'
import { StepRun } from '../../engine/entities/step-run.ts'
import type { ExecutionMask } from '../../engine/execution-mask.ts'
import { isAttempt, isComposite } from '../../engine/in-flight.ts'
import type { InFlight } from '../../engine/in-flight.ts'
import { compensationPath, runAt } from '../../engine/decide/run.ts'
import { hasEnded } from '../../engine/states.ts'
import type { StepStatus } from '../../engine/states.ts'
import { isProblem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Program } from '../../language/program.ts'
import type { Call } from '../call.ts'
import { noteParts } from '../audit/note-reads.ts'
import { selectRows } from '../select-rows.ts'
import type { Condition } from '../select-rows.ts'

/** One step of one execution, the same while it runs and after. */
export interface StepView {
  /** UUID */
  executionId: string
  path: string
  name: string
  type: string
  status: StepStatus
  /** from 1; 0 = not begun */
  attempt: number
  startedAt: Date | null
  finishedAt: Date | null
  route: string | null
  error: { code: string; message: string } | null
  /** UUID of the execution in which it ran, when this one uses again what came of it there */
  reusedFrom: string | null
  /** while it runs or waits */
  inFlight: InFlight | null
}

/** What of an execution says how its steps are. */
export type ExecutionSteps = Pick<Execution, 'id' | 'flowVersionId' | 'inFlight' | 'status'>

/** In the order of `executions`, each in the order of its definition. One statement for all. */
export async function readSteps(call: Call, executions: readonly ExecutionSteps[]): Promise<StepView[][]> {
  noteParts(
    call,
    executions.map(({ id }) => id),
    'steps',
  )
  const versions = [...new Set(executions.map((execution) => execution.flowVersionId))]
  const programs = await Promise.all(versions.map((id) => call.services.engine.program(id)))
  const ended = await readEnded(call, executions, programs)
  const telling = executions.filter(({ inFlight }) => inFlight.some(isTelling))
  const masks = await call.services.engine.masks([
    ...ended.flatMap(({ executionId, error }) => (error ? [executionId] : [])),
    ...telling.map(({ id }) => id),
  ])
  for (const run of ended) {
    if (run.error) run.error = { ...run.error, message: masks.get(run.executionId)!.text(run.error.message) }
  }
  const byExecution = Map.groupBy(ended, (run) => run.executionId)
  return executions.map((execution) => {
    const program = programs[versions.indexOf(execution.flowVersionId)]
    return mergeSteps(
      withMasked(execution, masks.get(execution.id)),
      byExecution.get(execution.id) ?? [],
      isProblem(program) ? undefined : program,
    )
  })
}

export const isTelling = (entry: InFlight): boolean =>
  (isAttempt(entry) && entry.progress?.message !== undefined) || (entry.kind === 'backoff' && entry.error !== undefined)

/** What its attempts say of how far they are, and why they failed, as it may be seen. */
export function withMasked<Some extends Pick<ExecutionSteps, 'inFlight'>>(
  execution: Some,
  mask: ExecutionMask | undefined,
): Some {
  if (!mask || !execution.inFlight.some(isTelling)) return execution
  const inFlight = execution.inFlight.map((entry) => {
    if (entry.kind === 'backoff' && entry.error)
      return { ...entry, error: { ...entry.error, message: mask.text(entry.error.message) } }
    if (!isAttempt(entry) || entry.progress?.message === undefined) return entry
    return { ...entry, progress: { ...entry.progress, message: mask.text(entry.progress.message) } }
  })
  return { ...execution, inFlight }
}

/** Step runs; of executions whose step runs were removed, being old enough, what their events still tell of them. */
async function readEnded(
  call: Call,
  executions: readonly ExecutionSteps[],
  programs: readonly (Program | Problem)[],
): Promise<EndedStep[]> {
  const ids = executions.map(({ id }) => id)
  const runs = await selectRows(call, StepRun, { where: sql`t.execution_id = any(${ids}) and ${isStep(programs)}` })
  const found = new Set(runs.map(({ executionId }) => executionId))
  const without = executions.filter(({ id, status }) => hasEnded(status) && !found.has(id)).map(({ id }) => id)
  return without.length === 0 ? runs : [...runs, ...(await call.services.database.query<EndedStep>(FROM_EVENTS, [without]))]
}

/** Not the items of maps, which may be thousands: where the names of the steps are known, rows are looked up by them. */
function isStep(programs: readonly (Program | Problem)[]): Condition {
  const paths = programs.map((program) =>
    isProblem(program)
      ? undefined
      : program.steps.flatMap((step) => [step.name, ...(step.compensate ? [compensationPath(step)] : [])]),
  )
  return paths.includes(undefined) ? sql`position('[' in t.path) = 0` : sql`t.path = any(${[...new Set(paths.flat())]})`
}

/** What is told of a step run that has ended; `type` is unknown where only events are left. */
export type EndedStep = Pick<
  StepRun,
  'executionId' | 'path' | 'name' | 'status' | 'attempt' | 'startedAt' | 'finishedAt' | 'route' | 'error'
> & { type: string | null; reusedFrom?: string | null }

const ENDINGS = `array['step.succeeded', 'step.failed', 'step.skipped', 'step.canceled']`
const FROM_EVENTS = `
  select execution_id as "executionId", path, min(step) as name, null as type,
    coalesce(min(data ->> 'status') filter (where type = 'step.reused'),
      upper(substr(min(type) filter (where type = any (${ENDINGS})), 6))) as status,
    coalesce(max(attempt), 0) as attempt, max(at) filter (where type = 'step.started') as "startedAt",
    max(at) filter (where type = any (${ENDINGS}) or type = 'step.reused') as "finishedAt",
    min(data ->> 'route') filter (where type in ('route.taken', 'step.reused')) as route,
    ((array_agg(data) filter (where type = 'step.failed'))[1]) -> 'error' as error
  from sluice.events where execution_id = any($1) and position('[' in path) = 0
  group by execution_id, path
  having bool_or(type = any (${ENDINGS}) or type = 'step.reused')`

/** Pure. Without a program (it is not allowed any more) only what began is known. */
export function mergeSteps(execution: ExecutionSteps, ended: readonly EndedStep[], program: Program | undefined): StepView[] {
  const views = new Map<string, StepView>()
  for (const step of program?.steps ?? []) views.set(step.name, notBegun(execution, step.name, step.spec.type))
  for (const entry of execution.inFlight) {
    if (entry.path.includes('[')) continue
    const name = nameOf(entry.path)
    const type = (program && runAt(program, entry.path)?.step.spec.type) ?? (isAttempt(entry) ? 'handler' : entry.kind)
    views.set(entry.path, underWay(execution, entry, name, type))
  }
  // what has ended counts more than what was under way when the execution was read, a moment earlier
  for (const run of ended) views.set(run.path, hasRun(run, views.get(nameOf(run.path))?.type))
  return [...views.values()]
}

/** The step that a path belongs to: `poll` for `poll[3].items[17]`. */
export const nameOf = (path: string): string => path.split(/[.[]/, 1)[0] ?? path

/** What of the definition runs there: `poll[].items[]` for `poll[3].items[17]`. */
export const bodyOf = (path: string): string => path.replaceAll(/\[\d+\]/g, '[]')

const NOTHING = { attempt: 0, startedAt: null, finishedAt: null, route: null, error: null, reusedFrom: null, inFlight: null }

/** What had not begun when its execution ended never will. */
const notBegun = ({ id, status }: ExecutionSteps, name: string, type: string): StepView => ({
  ...{ executionId: id, path: name, name, type, ...NOTHING },
  status: hasEnded(status) ? 'CANCELED' : 'PENDING',
})

/** What nobody of its pool has claimed yet waits. */
const runs = (entry: InFlight): boolean => entry.kind === 'act' || (entry.kind === 'pooled' && entry.epoch !== 0)

export const underWay = ({ id }: Pick<ExecutionSteps, 'id'>, entry: InFlight, name: string, type: string): StepView => ({
  ...{ executionId: id, path: entry.path, name, type, ...NOTHING },
  status: runs(entry) || isComposite(entry) ? 'RUNNING' : 'WAITING',
  attempt: entry.attempt,
  startedAt: new Date(entry.startedAt),
  inFlight: entry,
})

export const hasRun = (
  { executionId, path, name, type, status, attempt, startedAt, finishedAt, route, error, reusedFrom }: EndedStep,
  defined: string | undefined,
): StepView => ({
  ...{ executionId, path, name, type: type ?? defined ?? 'handler', status, attempt, finishedAt, inFlight: null },
  ...{ startedAt: startedAt ?? null, route: route ?? null, error: error ?? null, reusedFrom: reusedFrom ?? null },
})
