/** Schedules: when a flow starts by itself, what came of it, and command over it. */
import { Fault } from '../errors.ts'
import { encodeId } from '../ids.ts'
import type { FiringCause, FiringStatus } from '../triggers/due-times.ts'
import type { CATCH_UPS, OVERLAPS, CatchUp, Overlap } from '../language/triggers/schedule.ts'
import { parseDuration } from '../language/duration.ts'
import { backfillSchedule, MAX_BACKFILL } from '../operations/triggers/backfill-schedule.ts'
import { pauseSchedule } from '../operations/triggers/pause-schedule.ts'
import { comingTimes, MAX_FIRINGS, MAX_NEXT_TIMES } from '../operations/triggers/read-schedules.ts'
import { resumeSchedule } from '../operations/triggers/resume-schedule.ts'
import { runScheduleNow } from '../operations/triggers/run-schedule-now.ts'
import type { Schedule as ScheduleRow, ScheduleProblem } from '../triggers/schedule.ts'
import type { Call } from '../operations/call.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Execution, Flow, Schedule, ScheduleFiring, Trigger } from './refs.ts'
import { User } from './viewer.ts'

const OverlapType = builder.enumType('ScheduleOverlap', {
  description: 'What happens when a schedule is due while the execution that it started before has not ended.',
  values: {
    SKIP: { value: 'skip', description: 'The time is left out.' },
    QUEUE: { value: 'queue', description: 'It starts when the one before has ended.' },
    CANCEL: { value: 'cancel', description: 'The one before is asked to end; then it starts.' },
    ALLOW: { value: 'allow', description: 'Both run.' },
  } satisfies Record<Uppercase<Overlap>, { value: (typeof OVERLAPS)[number]; description: string }>,
})

const CatchUpType = builder.enumType('ScheduleCatchUp', {
  description: 'What becomes of the times when no server was there.',
  values: {
    NONE: { value: 'none', description: 'They are left out.' },
    LAST: { value: 'last', description: 'The last of them is started.' },
    ALL: { value: 'all', description: 'All are started, one after the other, up to a hundred.' },
  } satisfies Record<Uppercase<CatchUp>, { value: (typeof CATCH_UPS)[number]; description: string }>,
})

const Cause = builder.enumType('ScheduleFiringCause', {
  description: 'Why a schedule fired.',
  values: {
    SCHEDULED: { description: 'Its time came.' },
    CAUGHT_UP: { description: 'Its time had come while no server was there.' },
    BACKFILLED: { description: 'Somebody asked for past times.' },
    ASKED_FOR: { description: 'Somebody ran it by hand.' },
  } satisfies Record<FiringCause, { description: string }>,
})

const Status = builder.enumType('ScheduleFiringStatus', {
  description: 'What a time of a schedule came to.',
  values: {
    WAITING: { description: 'It is started as soon as it may.' },
    STARTED: { description: 'An execution was started.' },
    SKIPPED: { description: 'Nothing was started, as the policy says; `reason` tells why.' },
    REFUSED: { description: 'Nothing could be started; `reason` tells why.' },
    MISSED: { description: 'No server was there, and it was not caught up; it stands for those before it too.' },
  } satisfies Record<FiringStatus, { description: string }>,
})

const ProblemOfSchedule = builder.objectRef<ScheduleProblem>('ScheduleIssue').implement({
  description: 'Why a schedule started nothing when it last should have.',
  fields: (t) => ({
    code: t.exposeString('code', { description: 'Which kind of problem.' }),
    message: t.exposeString('message', { description: 'For people.' }),
    at: t.field({ type: 'DateTime', description: 'When.', resolve: ({ at }) => new Date(at) }),
  }),
})

Schedule.implement({
  description: 'A trigger that starts executions of its flow at certain times, with the rights of whoever published it.',
  fields: (t) => ({
    id: t.id({ description: 'The id of the trigger.', resolve: ({ id }) => encodeId('trigger', id) }),
    name: t.exposeString('name', { description: 'Unique among the triggers of its flow.' }),
    flow: t.field({ type: Flow, nullable: true, description: 'What it starts.', resolve: ({ flowId }) => flowId }),
    cron: t.string({
      nullable: true,
      description: 'Its cron pattern, if it has one.',
      resolve: ({ definition }) => definition.cron,
    }),
    every: t.field({
      type: 'Duration',
      nullable: true,
      description: 'Its interval, if it has one.',
      resolve: ({ definition: { every } }) => (every === undefined ? null : parseDuration(every)),
    }),
    timezone: t.string({
      description: 'The time zone of the pattern.',
      resolve: ({ definition }) => definition.timezone ?? 'UTC',
    }),
    overlap: t.field({
      type: OverlapType,
      description: 'When executions would overlap.',
      resolve: ({ definition }) => definition.overlap ?? 'skip',
    }),
    catchUp: t.field({
      type: CatchUpType,
      description: 'When no server was there.',
      resolve: ({ definition }) => definition.catchUp ?? 'last',
    }),
    runsAs: t.field({
      type: User,
      nullable: true,
      description: 'Whose executions these are: who published it. Null when the account is gone.',
      resolve: ({ publishedBy }) => publishedBy,
    }),
    nextTimes: t.field({
      type: ['DateTime'],
      description: 'The scheduled times to come; none while it is paused. A jitter comes on top.',
      complexity: ({ first }) => ({ field: 1, multiplier: Math.min(Math.max(first, 1), MAX_NEXT_TIMES) / 5 }),
      args: { first: t.arg.int({ required: true, defaultValue: 1, description: `How many: 0 to ${MAX_NEXT_TIMES}.` }) },
      resolve: (schedule, { first }, call) => comingTimes(call, schedule, within(first, MAX_NEXT_TIMES)),
    }),
    pausedAt: t.expose('pausedAt', { type: 'DateTime', nullable: true, description: 'Since when it is paused.' }),
    pausedBy: t.field({
      type: User,
      nullable: true,
      description: 'Who paused it.',
      resolve: ({ pausedBy }) => pausedBy,
    }),
    pauseReason: t.string({
      nullable: true,
      description: 'Why it is paused; null when you may not manage the flow.',
      resolve: async (schedule, _args, call) => ((await mayManage(schedule, call)) ? schedule.pauseReason : null),
    }),
    lastProblem: t.field({
      type: ProblemOfSchedule,
      nullable: true,
      description: 'Why it started nothing when it last should have; null when it did, and when you may not manage the flow.',
      resolve: async (schedule, _args, call) => ((await mayManage(schedule, call)) ? schedule.lastProblem : null),
    }),
    firings: t.field({
      type: [ScheduleFiring],
      description: 'What its times came to, the last first; none when you may not manage the flow.',
      complexity: ({ first }) => ({ field: 1, multiplier: Math.min(Math.max(first, 1), MAX_FIRINGS) }),
      args: {
        first: t.arg.int({ required: true, defaultValue: 20, description: `How many: 0 to ${MAX_FIRINGS}.` }),
        status: t.arg({ type: [Status], description: 'Only those that came to this.' }),
      },
      resolve: async (schedule, { first, status }, call) => {
        const wanted = { triggerId: schedule.id, first: within(first, MAX_FIRINGS), status: status ?? undefined }
        return (await mayManage(schedule, call)) ? loadersOf(call).firings.load(wanted) : []
      },
    }),
    version: t.exposeInt('version', { description: 'Grows when it is published anew, paused or resumed.' }),
  }),
})

/** What becomes of a schedule tells of its owner's executions. */
async function mayManage({ flowId }: ScheduleRow, call: Call): Promise<boolean> {
  return (await loadersOf(call).allowedActions.load(flowId)).includes('MANAGE')
}

function within(first: number, most: number): number {
  if (first < 0 || first > most) throw new Fault('BAD_REQUEST', `\`first\` must be from 0 to ${most}.`)
  return first
}

ScheduleFiring.implement({
  description: 'One time of a schedule, and what it came to.',
  fields: (t) => ({
    trigger: t.field({
      type: Trigger,
      nullable: true,
      description: 'Whose time it is; null when you may not see the flow, and when its newest version does not have it.',
      resolve: ({ triggerId }) => triggerId,
    }),
    scheduledFor: t.expose('scheduledFor', { type: 'DateTime', description: 'The scheduled time.' }),
    cause: t.field({ type: Cause, description: 'Why there is one.', resolve: ({ cause }) => cause }),
    status: t.field({ type: Status, description: 'What it came to.', resolve: ({ status }) => status }),
    reason: t.exposeString('reason', { nullable: true, description: 'Why nothing was started.' }),
    execution: t.field({
      type: Execution,
      nullable: true,
      description: 'What was started; null when nothing was, when you may not see it, and when it was removed.',
      resolve: ({ status, executionId }) => (status === 'STARTED' ? executionId : null),
    }),
  }),
})

builder.objectField(Flow, 'schedules', (t) =>
  t.field({
    type: [Schedule],
    description: 'The schedules of its newest version, by name.',
    resolve: ({ id }, _args, call) => loadersOf(call).flowSchedules.load(id),
  }),
)

builder.objectField(Trigger, 'schedule', (t) =>
  t.field({
    type: Schedule,
    nullable: true,
    description: 'It as a schedule, if it is one.',
    resolve: ({ id }, _args, call) => loadersOf(call).schedules.load(id),
  }),
)

builder.objectField(Execution, 'scheduleFiring', (t) =>
  t.field({
    type: ScheduleFiring,
    nullable: true,
    description: 'The time of a schedule that it was started for.',
    resolve: ({ id }, _args, call) => loadersOf(call).firingsOf.load(id),
  }),
)

const idOf = (id: string): string => uuidOf('trigger', id)

mutation('pauseSchedule', {
  description: 'Pauses a schedule: nothing is scheduled until it is resumed. What runs goes on; what waits is left out.',
  scopes: { may: 'FLOWS_WRITE' },
  input: (t) => ({
    id: t.id({ required: true, description: 'The schedule.' }),
    reason: t.string({ description: 'Why, for people: at most 500 characters.' }),
  }),
  resolve: (call, { id, reason }) => pauseSchedule(call, { id: idOf(id), reason: reason ?? undefined }),
  success: (t) => ({
    schedule: t.field({ type: Schedule, description: 'The schedule as it is now.', resolve: ({ schedule }) => schedule }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'ILLEGAL_STATE'],
})

mutation('resumeSchedule', {
  description: 'Lets a paused schedule go on from now. The times that passed are left out; `backfillSchedule` starts them.',
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({ id: t.id({ required: true, description: 'The schedule.' }) }),
  resolve: (call, { id }) => resumeSchedule(call, { id: idOf(id) }),
  success: (t) => ({
    schedule: t.field({ type: Schedule, description: 'The schedule as it is now.', resolve: ({ schedule }) => schedule }),
  }),
  problems: ['NOT_FOUND', 'ILLEGAL_STATE'],
})

mutation('runScheduleNow', {
  description:
    'Starts an execution of a schedule now, with its input and rights; where nothing may overlap it waits for what runs.',
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    id: t.id({ required: true, description: 'The schedule.' }),
    idempotencyKey: t.string({
      description: 'Of two calls with the same key only the first counts; both get the same result. 1 to 200 characters.',
    }),
  }),
  resolve: (call, { id, idempotencyKey }) => runScheduleNow(call, { id: idOf(id), idempotencyKey: idempotencyKey ?? undefined }),
  success: (t) => ({
    schedule: t.field({ type: Schedule, description: 'The schedule as it is now.', resolve: ({ schedule }) => schedule }),
    firing: t.field({ type: ScheduleFiring, description: 'What came of it so far.', resolve: ({ firing }) => firing }),
    replayed: t.exposeBoolean('replayed', { description: 'An earlier call with this idempotency key did it.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'ILLEGAL_STATE', 'IDEMPOTENCY_MISMATCH'],
})

mutation('backfillSchedule', {
  description: `Starts executions for the scheduled times of a past span, at most ${MAX_BACKFILL}, one after the other unless they may overlap. A time that was started is not started again.`,
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    id: t.id({ required: true, description: 'The schedule.' }),
    from: t.field({ type: 'DateTime', required: true, description: 'The beginning of the span; a time at it counts.' }),
    to: t.field({
      type: 'DateTime',
      required: true,
      description: 'The end of the span, not in the future; a time at it counts.',
    }),
    dryRun: t.boolean({ description: 'Starts nothing, only tells what would be started.' }),
  }),
  resolve: (call, { id, from, to, dryRun }) => backfillSchedule(call, { id: idOf(id), from, to, dryRun: dryRun ?? false }),
  success: (t) => ({
    schedule: t.field({ type: Schedule, description: 'The schedule.', resolve: ({ schedule }) => schedule }),
    count: t.int({ description: 'How many times are started, or would be.', resolve: ({ times }) => times.length }),
    times: t.field({ type: ['DateTime'], description: 'Those times, the oldest first.', resolve: ({ times }) => [...times] }),
    alreadyStarted: t.exposeInt('alreadyStarted', { description: 'Times of the span that were started before.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND'],
})
