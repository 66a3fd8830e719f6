/** Executions: what one looks like. */
import type { EXECUTION_STATUSES } from '../engine/states.ts'
import type { ExecutionError } from '../engine/entities/execution.ts'
import { Fault } from '../errors.ts'
import { withStatuses } from '../language/picture/picture-graph.ts'
import { MAX_EVENTS } from '../operations/executions/read-events.ts'
import { nameOf } from '../operations/executions/read-steps.ts'
import type { StepView } from '../operations/executions/read-steps.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { payloadBytesField, payloadField, redactedField, unmaskArg } from './payload-field.ts'
import { pictureField } from './picture.ts'
import { Execution, ExecutionEvent, Flow, FlowVersion, StepRun } from './refs.ts'
import { WaitingFor } from './step-run.ts'
import { User } from './viewer.ts'

export const ExecutionStatus = builder.enumType('ExecutionStatus', {
  description: 'How an execution is. SUCCEEDED, FAILED, CANCELED and TIMED_OUT are final.',
  values: {
    PENDING: { description: 'It has not begun.' },
    RUNNING: { description: 'Steps of it run, or are about to.' },
    WAITING: { description: 'Nothing of it runs; `waitingFor` says what for.' },
    PAUSED: { description: 'Somebody paused it; `reason` says why.' },
    SUCCEEDED: { description: 'It ended well and has its output.' },
    FAILED: { description: 'It ended by a failure; `error` says which.' },
    CANCELED: { description: 'Somebody ended it; `reason` says why.' },
    TIMED_OUT: { description: 'It did not end within the timeout of its flow.' },
  } satisfies Record<(typeof EXECUTION_STATUSES)[number], { description: string }>,
})

export const Failure = builder.objectRef<ExecutionError>('ExecutionError').implement({
  description: 'Why an execution failed.',
  fields: (t) => ({
    code: t.exposeString('code', { description: 'Which kind of failure.' }),
    message: t.exposeString('message', { description: 'For people.' }),
    step: t.exposeString('step', { nullable: true, description: 'The step it came from.' }),
  }),
})

const Label = builder.objectRef<{ key: string; value: string }>('Label').implement({
  description: 'A key-value tag on an execution.',
  fields: (t) => ({
    key: t.exposeString('key', { description: 'Unique among the labels of an execution.' }),
    value: t.exposeString('value', { description: 'Whatever whoever started it wrote.' }),
  }),
})

interface Counts {
  stepsTotal: number
  stepsSucceeded: number
  stepsFailed: number
  stepsSkipped: number
  inFlight: readonly { path: string }[]
}

const Progress = builder.objectRef<Counts>('ExecutionProgress').implement({
  description: 'How many steps there are, and how they are.',
  fields: (t) => ({
    total: t.exposeInt('stepsTotal', { description: 'Steps of the definition.' }),
    finished: t.int({
      description: 'Steps that have ended: succeeded, failed or skipped.',
      resolve: (counts) => counts.stepsSucceeded + counts.stepsFailed + counts.stepsSkipped,
    }),
    failed: t.exposeInt('stepsFailed', { description: 'Steps that failed.' }),
    skipped: t.exposeInt('stepsSkipped', { description: 'Steps that were left out.' }),
    running: t.int({
      description: 'Steps that run or wait.',
      resolve: ({ inFlight }) => inFlight.filter(({ path }) => !path.includes('[')).length,
    }),
  }),
})

/** Those that ended, in the order in which they did. */
const ended = (steps: readonly StepView[]) =>
  steps.filter((step) => step.finishedAt !== null).toSorted((a, b) => Number(a.finishedAt) - Number(b.finishedAt))

Execution.implement({
  description: 'One run of one flow version.',
  fields: (t) => ({
    status: t.field({ type: ExecutionStatus, description: 'How it is.', resolve: ({ status }) => status }),
    flow: t.field({
      type: Flow,
      nullable: true,
      description: 'What it runs; null when you may not see the flow any more.',
      resolve: ({ flowId }) => flowId,
    }),
    flowVersion: t.field({
      type: FlowVersion,
      nullable: true,
      description: 'The version it runs to its end; null when you may not see the flow any more.',
      resolve: ({ flowVersionId }) => flowVersionId,
    }),
    input: payloadField(t, 'What it was started with.', ({ id }, loaders) => loaders.inputs.load(id)),
    inputBytes: payloadBytesField(t, 'input', ({ id }, loaders) => loaders.inputs.load(id)),
    state: payloadField(t, 'What its expressions see: `{ input, steps: { name: output } }`.', (execution, loaders) =>
      loaders.states.load(execution),
    ),
    stateBytes: t.exposeInt('stateBytes', {
      description: 'The size of its input and of all its outputs, in bytes; the limit is 1,000,000.',
    }),
    tokens: t.exposeInt('tokens', {
      description:
        'What the attempts of its steps took so far, as `cost` in its definition says; without what the flows took that it called.',
    }),
    output: payloadField(t, 'What came of it.', (execution, loaders) => loaders.outputs.load(execution)),
    outputBytes: payloadBytesField(t, 'output', (execution, loaders) => loaders.outputs.load(execution)),
    redacted: redactedField(t, '`state` and `output`', [
      (execution, loaders) => loaders.states.load(execution),
      (execution, loaders) => loaders.outputs.load(execution),
    ]),
    error: t.field({ type: Failure, nullable: true, description: 'Why it failed.', resolve: ({ error }) => error }),
    initiator: t.field({
      type: User,
      nullable: true,
      description: 'Who started it; null when the account is gone.',
      resolve: ({ initiatorId }) => initiatorId,
    }),
    labels: t.field({
      type: [Label],
      description: 'Tags that it was started with.',
      resolve: ({ labels }) => Object.entries(labels ?? {}).map(([key, value]) => ({ key, value })),
    }),
    priority: t.exposeInt('priority', { description: 'From -100 to 100; higher begins first.' }),
    progress: t.field({ type: Progress, description: 'How far it is.', resolve: (execution) => execution }),
    reason: t.string({
      nullable: true,
      description: 'Why it ended, will end, is about to be canceled, or is paused.',
      resolve: ({ reason, cancelReason, pauseReason }) => reason ?? cancelReason ?? pauseReason,
    }),
    ending: t.field({
      type: ExecutionStatus,
      nullable: true,
      description: 'How it will end, while it undoes what it did.',
      resolve: ({ ending }) => ending,
    }),
    retryOf: t.field({
      type: Execution,
      nullable: true,
      description: 'The execution that it tries again.',
      resolve: ({ retryOf }) => retryOf,
    }),
    routeTaken: t.string({
      nullable: true,
      description: 'The route that a router took last.',
      resolve: async (execution, _args, call) =>
        ended(await loadersOf(call).steps.load(execution)).findLast((step) => step.route !== null)?.route,
    }),
    completedSteps: t.stringList({
      description: 'The names of the steps that succeeded, in the order in which they did.',
      resolve: async (execution, _args, call) =>
        ended(await loadersOf(call).steps.load(execution))
          .filter((step) => step.status === 'SUCCEEDED' && step.path === step.name)
          .map((step) => step.name),
    }),
    currentSteps: t.stringList({
      description: 'The names of the steps that run or wait.',
      resolve: ({ inFlight }) => [...new Set(inFlight.map(({ path }) => nameOf(path)))],
    }),
    waitingFor: t.field({
      type: WaitingFor,
      nullable: true,
      description: 'Why it does not move; null while it does. Of several things what is due first: each step tells its own.',
      complexity: 5,
      resolve: (execution, _args, call) => loadersOf(call).waiting.load(execution),
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was asked for.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', nullable: true, description: 'When it began.' }),
    finishedAt: t.expose('endedAt', { type: 'DateTime', nullable: true, description: 'When it ended.' }),
    deadlineAt: t.expose('deadlineAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ends at the latest, until it has.',
    }),
    durationMs: t.float({
      nullable: true,
      description: 'How long it took from its beginning to its end, in milliseconds; null until it has ended.',
      resolve: ({ startedAt, endedAt }) => (startedAt && endedAt ? endedAt.getTime() - startedAt.getTime() : null),
    }),
    version: t.exposeInt('version', { description: 'Grows with every change: of two answers the higher is newer.' }),
    feedCursor: t.string({
      description: 'Send it as `after` of `executionFeed` to follow what comes after this answer, without a gap.',
      resolve: (execution, _args, call) => call.feeds.cursorOf(execution),
    }),
    lastSeq: t.exposeInt('seq', { description: 'The `seq` of its last event.' }),
    steps: t.field({
      type: [StepRun],
      description: 'The steps of its definition, in an order in which they can run, as they are now.',
      resolve: (execution, _args, call) => loadersOf(call).steps.load(execution),
    }),
    events: t.field({
      type: [ExecutionEvent],
      description: 'Its history, in the order of `seq`.',
      complexity: ({ first }) => ({ field: 1, multiplier: Math.min(Math.max(first, 1), MAX_EVENTS) / 5 }),
      args: {
        after: t.arg.int({ required: true, defaultValue: 0, description: 'Only events with a higher `seq`.' }),
        first: t.arg.int({ required: true, defaultValue: 100, description: `How many: 0 to ${MAX_EVENTS}.` }),
        unmask: unmaskArg(t),
      },
      resolve: (execution, { after, first, unmask }, call) => {
        if (first < 0 || first > MAX_EVENTS) throw new Fault('BAD_REQUEST', `\`first\` must be from 0 to ${MAX_EVENTS}.`)
        const { id, version } = execution
        return loadersOf(call, unmask ? 'UNMASKED' : 'MASKED').events.load({ id, version, executionId: id, after, first })
      },
    }),
    picture: pictureField(
      t,
      'Its flow version as a picture, coloured by how its steps are.',
      ({ flowVersionId }) => flowVersionId,
      async (graph, execution, call) => {
        const steps = await loadersOf(call).steps.load(execution)
        return withStatuses(
          graph,
          Object.fromEntries(steps.map(({ path, status, route }) => [path, { status, ...(route !== null && { route }) }])),
        )
      },
    ),
  }),
})
