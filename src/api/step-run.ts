/** Step runs: one step of one execution, the same while it runs and after; and what waiting steps wait for. */
import { encodeId } from '../ids.ts'
import type { Progress } from '../engine/acts/reports.ts'
import { progressOf } from '../engine/in-flight.ts'
import type { STEP_STATUSES } from '../engine/states.ts'
import type { Waiting } from '../operations/executions/waiting-for.ts'
import { sayWaiting, waitingOf } from '../operations/executions/waiting-for.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { payloadBytesField, payloadField, redactedField } from './payload-field.ts'
import { AgentRequest, Execution, StepRun } from './refs.ts'
import { Slot } from './slot.ts'

export const StepStatus = builder.enumType('StepStatus', {
  description: 'How a step is.',
  values: {
    PENDING: { description: 'It has not begun.' },
    RUNNING: { description: 'It runs.' },
    WAITING: { description: 'It waits; `waitingFor` says for what.' },
    SUCCEEDED: { description: 'It has an output.' },
    FAILED: { description: 'It has an error.' },
    SKIPPED: { description: 'Its condition or route, or a step it needed, left it out.' },
    CANCELED: { description: 'Its execution ended before it did.' },
  } satisfies Record<(typeof STEP_STATUSES)[number], { description: string }>,
})

export const StepError = builder.objectRef<{ code: string; message: string }>('StepError').implement({
  description: 'Why a step failed.',
  fields: (t) => ({
    code: t.exposeString('code', { description: 'Which kind of failure.' }),
    message: t.exposeString('message', { description: 'For people.' }),
  }),
})

const StepProgress = builder.objectRef<Progress>('StepProgress').implement({
  description: 'How far a step is, as it said last.',
  fields: (t) => ({
    fraction: t.exposeFloat('fraction', { nullable: true, description: 'From 0 to 1.' }),
    done: t.exposeFloat('done', { nullable: true, description: 'How many are done, of `total`.' }),
    total: t.exposeFloat('total', { nullable: true, description: 'How many there are.' }),
    message: t.exposeString('message', { nullable: true, description: 'For people.' }),
  }),
})

const WaitingKind = builder.enumType('WaitingKind', {
  description: 'What something waits for.',
  values: {
    AGENT: { description: 'An answer of an agent or a person.' },
    APPROVAL: { description: 'The votes of people.' },
    SIGNAL: { description: 'Signals; `signals` says which.' },
    TIMER: { description: 'A `wait` step: a time.' },
    RETRY: { description: 'The next attempt after a failure.' },
    CHILD: { description: 'The end of a child execution.' },
    START: { description: 'The `startAt` of its execution.' },
    SLOT: { description: 'Its turn: as many of its flow run as may; `slot` says behind whom.' },
    POOL: { description: 'A worker of the pool that the step names, `pool`.' },
    PAUSED: { description: 'Somebody who resumes it.' },
    CANCELING: { description: 'The end of what still runs; at `until` it is over whatever that does.' },
    WORKER: { description: 'A worker: none has it, or the one that had it was lost.' },
  } satisfies Record<Waiting['kind'], { description: string }>,
})

/** For steps and for executions. */
export const WaitingFor = builder.objectRef<Waiting>('WaitingFor').implement({
  description: 'What something waits for, since when, and until when.',
  fields: (t) => ({
    kind: t.field({ type: WaitingKind, description: 'What kind of thing.', resolve: ({ kind }) => kind }),
    message: t.string({ description: 'The same in one sentence, for people.', resolve: sayWaiting }),
    step: t.exposeString('step', { nullable: true, description: 'The step that waits.' }),
    since: t.expose('since', { type: 'DateTime', description: 'Since when.' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When it ends by itself; null when only somebody ends it.',
    }),
    role: t.string({
      nullable: true,
      description: 'Of the agent that is asked.',
      resolve: async ({ kind, requestId }, _args, call) =>
        kind === 'AGENT' && requestId ? (await AgentRequest.getDataloader(call).load(requestId))?.role : null,
    }),
    signals: t.exposeStringList('signals', { description: 'The names of signals that it waits for.' }),
    needed: t.exposeInt('needed', {
      nullable: true,
      description: 'How many of these signals, or how many more approvals, it needs.',
    }),
    slot: t.field({
      type: Slot,
      nullable: true,
      description: 'What it holds once it begins: who holds it now, and its place in the queue.',
      resolve: ({ slot }) => slot,
    }),
    attempt: t.exposeInt('attempt', { nullable: true, description: 'The number of the next attempt.' }),
    error: t.field({
      type: StepError,
      nullable: true,
      description: 'Why the attempt before failed.',
      resolve: ({ error }) => error,
    }),
    child: t.field({
      type: Execution,
      nullable: true,
      description: 'The execution whose end it waits for; null otherwise, and when you may not see it.',
      resolve: ({ childId }) => childId,
    }),
    pool: t.exposeString('pool', { nullable: true, description: 'Whose workers it waits for.' }),
    by: t.exposeString('by', { nullable: true, description: 'The id of who paused or canceled it.' }),
    reason: t.exposeString('reason', { nullable: true, description: 'What they said.' }),
    ahead: t.exposeInt('ahead', {
      nullable: true,
      description: 'How many executions of the same initiator a worker takes first, 1000 at most.',
    }),
    workers: t.exposeInt('workers', { nullable: true, description: 'How many workers are alive.' }),
    agentRequestId: t.id({
      nullable: true,
      description: 'What `answerAgentRequest` takes.',
      resolve: ({ requestId }) => (requestId ? encodeId('agentRequest', requestId) : null),
    }),
    agentRequest: t.field({
      type: AgentRequest,
      nullable: true,
      description: 'The question that waits for its answer.',
      resolve: ({ requestId }) => requestId,
    }),
  }),
})

StepRun.implement({
  description: 'One step of one execution, the same while it runs and after.',
  fields: (t) => ({
    id: t.id({
      description: "The execution's id and the path: the idempotency key that the step hands to what it calls.",
      resolve: ({ executionId, path }) => `${encodeId('execution', executionId)}/${path}`,
    }),
    path: t.exposeString('path', { description: 'Where it is in the execution; the name, for a step that runs once.' }),
    name: t.exposeString('name', { description: 'The name that its definition gives it.' }),
    type: t.exposeString('type', { description: 'Its step type, such as `agent`.' }),
    status: t.field({ type: StepStatus, description: 'How it is.', resolve: ({ status }) => status }),
    attempt: t.exposeInt('attempt', { description: 'The number of the last attempt; 0 before the first.' }),
    startedAt: t.expose('startedAt', { type: 'DateTime', nullable: true, description: 'When its last attempt began.' }),
    finishedAt: t.expose('finishedAt', { type: 'DateTime', nullable: true, description: 'When it ended.' }),
    route: t.exposeString('route', { nullable: true, description: 'The route that a router took.' }),
    error: t.field({ type: StepError, nullable: true, description: 'Why it failed.', resolve: ({ error }) => error }),
    reusedFrom: t.field({
      type: Execution,
      nullable: true,
      description:
        'The execution in which it ran, when this one uses again what came of it there; null otherwise, and when you may not see that one.',
      resolve: ({ reusedFrom }) => reusedFrom,
    }),
    waitingFor: t.field({
      type: WaitingFor,
      nullable: true,
      description: 'What it waits for, while it waits.',
      async resolve({ inFlight }, _args, call) {
        const waiting = inFlight && waitingOf(inFlight)
        return waiting?.pool ? { ...waiting, ...(await loadersOf(call).pools.load(waiting.pool)) } : waiting
      },
    }),
    progress: t.field({
      type: StepProgress,
      nullable: true,
      description: 'How far it is, while it runs and if it says so.',
      resolve: ({ inFlight }) => (inFlight ? progressOf(inFlight) : null),
    }),
    input: payloadField(t, 'What it was called with.', (step, loaders) => loaders.stepInputs.load(step)),
    inputBytes: payloadBytesField(t, 'input', (step, loaders) => loaders.stepInputs.load(step)),
    redacted: redactedField(t, '`input` and `output`', [
      (step, loaders) => loaders.stepInputs.load(step),
      (step, loaders) => loaders.stepOutputs.load(step),
    ]),
    output: payloadField(t, 'What came of it.', (step, loaders) => loaders.stepOutputs.load(step)),
    outputBytes: payloadBytesField(t, 'output', (step, loaders) => loaders.stepOutputs.load(step)),
  }),
})
