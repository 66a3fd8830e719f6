/** Moving an execution to another version of its flow: what stands in the way, and the move itself. Pure. */
import type { Program } from '../../language/program.ts'
import { isAct } from '../../language/steps/step-types.ts'
import { covers } from '../../masking/places.ts'
import { isAttempt } from '../in-flight.ts'
import type { AttemptEntry, InFlight } from '../in-flight.ts'
import { hasEnded } from '../states.ts'
import { queueChanges, requeue } from '../steps/pooled.ts'
import type { Draft } from './draft.ts'
import { emit, replaceInFlight } from './draft.ts'
import type { InputResult, Migration } from './input.ts'
import { cancelStep } from './record-step.ts'
import { runAt } from './run.ts'
import type { Snapshot, StepRecord } from './snapshot.ts'

/** Why an execution stays where it is, for programs. */
export const MIGRATION_OBSTACLES = {
  ENDED: 'It has ended, or is about to.',
  NOT_NEWER: 'It runs this version, or a newer one.',
  RUNNING: 'A step runs at the moment, or is about to: try again later.',
  STEP_GONE: 'A step that has ended, or is under way, is not there any more.',
  STEP_CHANGED: 'A step that is under way is defined differently.',
  TYPE_CHANGED: 'A step that has ended is of another type.',
  ROUTE_GONE: 'A router has taken a route that is not there any more.',
  INPUT: 'Its input does not fit the input of the version.',
  OUT_OF_TIME: 'By the timeout of the version it would have ended already.',
  SENSITIVE: 'What is hidden now would not be hidden any more.',
} as const satisfies Record<string, string>
export type MigrationObstacleCode = keyof typeof MIGRATION_OBSTACLES

export interface MigrationObstacle {
  code: MigrationObstacleCode
  message: string
  step?: string
}

type Living = Pick<
  Snapshot,
  'status' | 'ending' | 'cancelReason' | 'deadlineAt' | 'inFlight' | 'steps' | 'input' | 'program' | 'flowVersionId' | 'owner'
>

/** Everything that stands in the way; none: it can move now. `now`: ms since 1970, database time. */
export function obstaclesTo({ from, to, changed }: Migration, living: Living, now: number): MigrationObstacle[] {
  const { status, ending, cancelReason, inFlight, steps, input, program, flowVersionId, owner } = living
  if (hasEnded(status) || ending !== null || cancelReason !== null) return [obstacle('ENDED')]
  if (flowVersionId !== from.id || to.number <= from.number) return [obstacle('NOT_NEWER')]
  const found = [...inFlight.flatMap((entry) => ofEntry(entry, owner, to.program, changed))]
  for (const [name, record] of steps) if (program.step(name)) found.push(...ofRecord(name, record, program, to.program))
  for (const { path, message } of to.program.checkInput(input)) found.push(obstacle('INPUT', `${path.join('.')}: ${message}`))
  const deadlineAt = movedDeadline(living, to.program)
  if (deadlineAt !== null && deadlineAt <= now) found.push(obstacle('OUT_OF_TIME'))
  return [...found, ...ofSecrets(living, to.program, changed)]
}

const obstacle = (
  code: MigrationObstacleCode,
  message: string = MIGRATION_OBSTACLES[code],
  step?: string,
): MigrationObstacle => ({
  ...{ code, message },
  ...(step !== undefined && { step }),
})

/** The step of the definition that a path is of. */
const stepOf = (path: string): string => path.split(/[.[]/, 1)[0]!

function ofEntry(entry: InFlight, owner: string | null, to: Program, changed: ReadonlySet<string>): MigrationObstacle[] {
  const { path } = entry
  const step = stepOf(path)
  if (isAttempt(entry)) {
    if (!isUnbegun(entry, owner)) return [obstacle('RUNNING', `${path} runs, or is about to: try again later.`, step)]
    const spec = runAt(to, path)?.step.spec
    // it begins as the version says; what is not there any more is not wanted any more
    if (!spec || isAct(spec)) return []
  }
  if (!to.step(step)) return [obstacle('STEP_GONE', `${step} is under way, and not there any more.`, step)]
  return changed.has(step) ? [obstacle('STEP_CHANGED', `${step} is under way, and defined differently.`, step)] : []
}

/** It waits for a worker, and nobody has it: perhaps there is none of its pool. */
const isUnbegun = (entry: AttemptEntry, owner: string | null): boolean =>
  entry.epoch === 0 &&
  (entry.kind === 'pooled'
    ? entry.worker === undefined
    : owner === null && entry.childId === undefined && entry.counts === undefined)

function ofRecord(name: string, { status, route }: StepRecord, from: Program, to: Program): MigrationObstacle[] {
  const step = to.step(name)
  // what never ran leaves nothing behind
  if (!step && (status === 'SKIPPED' || status === 'CANCELED')) return []
  if (!step) return [obstacle('STEP_GONE', `${name} has ended, and is not there any more.`, name)]
  const [was, is] = [from.step(name)!.spec.type, step.spec.type]
  if (was !== is)
    return [obstacle('TYPE_CHANGED', `${name} has ended as a step of type ${was}, and is one of type ${is} now.`, name)]
  const { spec } = step
  if (route === undefined || spec.type !== 'route') return []
  if (spec.otherwise === route || spec.cases.some(({ to }) => to === route)) return []
  return [obstacle('ROUTE_GONE', `${name} took ${route}, which is no route of it any more.`, name)]
}

/** What is recorded is hidden by what the version says that the execution is of. */
function ofSecrets({ program, input, steps }: Living, to: Program, changed: ReadonlySet<string>): MigrationObstacle[] {
  if (!program.sensitive) return []
  const found = covers(to.sensitive?.(input), program.sensitive(input)) ? [] : [obstacle('SENSITIVE')]
  for (const [name, { status }] of steps) {
    if (changed.has(name) && status !== 'SKIPPED')
      found.push(obstacle('SENSITIVE', `What ${name} made may be hidden by how it is defined, which is different.`, name))
  }
  return found
}

/** It has as much time, from its start on, as the version gives. */
const movedDeadline = ({ deadlineAt, program }: Pick<Living, 'deadlineAt' | 'program'>, to: Program): number | null =>
  deadlineAt === null ? null : deadlineAt + to.timeoutMs - program.timeoutMs

/** From here on the other program decides. */
export function migrate(draft: Draft, migration: Migration, by: string): InputResult {
  const { from, to } = migration
  const { program } = draft.from
  if (obstaclesTo(migration, { ...draft.from, ...draft }, draft.world.now).length > 0) return 'illegal'
  draft.deadlineAt = movedDeadline({ ...draft, program }, to.program)
  draft.from = { ...draft.from, flowVersionId: to.id, program: to.program }
  const { pool } = to.program
  draft.waits.push({
    kind: 'moved',
    flowVersionId: to.id,
    stepsTotal: to.program.steps.length,
    ...(pool !== undefined && { pool }),
  })
  // nothing of it runs: a worker of the other pool goes on
  if (pool !== program.pool) draft.owner = null
  for (const entry of draft.inFlight) if (isAttempt(entry)) moveUnbegun(draft, entry, program)
  // else they are looked at when the transition is complete
  if (program.usesPools && !to.program.usesPools) draft.waits.push(...queueChanges(draft.from, draft))
  // without a timeout of its own it waits as long as the flow may
  for (const entry of draft.inFlight)
    if (entry.kind === 'signal' && draft.deadlineAt !== null && runAt(to.program, entry.path)?.step.timeoutMs === undefined)
      replaceInFlight(draft, { ...entry, dueAt: draft.deadlineAt })
  emit(draft, 'execution.migrated', { data: { from: from.number, to: to.number, by } })
  return 'applied'
}

/** Into the queue where it waits from here on. */
function moveUnbegun(draft: Draft, entry: AttemptEntry, before: Program): void {
  const run = runAt(draft.from.program, entry.path)
  if (run && isAct(run.step.spec)) requeue(draft, run, run.step.spec, entry)
  else cancelStep(draft, runAt(before, entry.path)!, entry)
}
