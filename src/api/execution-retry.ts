/** Trying executions again: the plan first, then the retry. */
import { isProblem } from '../errors.ts'
import { RETRY_ACTIONS } from '../engine/decide/plan-retry.ts'
import type { PlannedStep as PlannedStepRow, RetryAction } from '../engine/decide/plan-retry.ts'
import { readRetryPlan } from '../operations/executions/plan-retry.ts'
import type { RetryPlan as RetryPlanRow } from '../operations/executions/plan-retry.ts'
import { retryExecution } from '../operations/executions/retry-execution.ts'
import { builder } from './builder.ts'
import { withExecution } from './execution-control.ts'
import { given } from './given.ts'
import { loadersOf } from './loaders.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Execution, FlowVersion } from './refs.ts'

const Action = builder.enumType('RetryAction', {
  description: 'What becomes of a step when its execution is tried again.',
  values: {
    REUSE: { description: 'It does not run: what is recorded of it counts.' },
    RUN: { description: 'It begins at once.' },
    MAY_RUN: { description: 'Whether it runs depends on steps that run before it, or on its `when`.' },
    SKIP: { description: 'It is left out.' },
  } satisfies Record<RetryAction, { description: string }>,
})

const PlannedStep = builder.objectRef<PlannedStepRow>('PlannedStep').implement({
  description: 'What becomes of one step.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name.' }),
    type: t.exposeString('type', { description: 'Its step type, such as `http`.' }),
    action: t.field({ type: Action, description: 'What becomes of it.', resolve: ({ action }) => action }),
    why: t.exposeString('why', { description: 'Why, for people.' }),
  }),
})

const RetryPlan = builder.objectRef<RetryPlanRow>('RetryPlan').implement({
  description: 'What trying an execution again would do. It changes nothing.',
  fields: (t) => ({
    possible: t.boolean({ description: 'Whether it can be tried again so.', resolve: ({ whyNot }) => whyNot === null }),
    whyNot: t.exposeString('whyNot', { nullable: true, description: 'Why it cannot, for people.' }),
    flowVersion: t.field({
      type: FlowVersion,
      nullable: true,
      description: 'The version that would run; null when you may not see the flow, or it cannot be tried again.',
      resolve: ({ flowVersionId }) => flowVersionId,
    }),
    steps: t.field({
      type: [PlannedStep],
      description: 'Every step, in an order in which they can run; none when it cannot be tried again.',
      resolve: ({ steps }) => steps,
    }),
    counts: t.field({
      type: [Count],
      description: 'How many steps become what, of those that are any.',
      resolve: ({ steps }) =>
        RETRY_ACTIONS.flatMap((action) => {
          const count = steps.filter((step) => step.action === action).length
          return count > 0 ? [{ action, count }] : []
        }),
    }),
  }),
})

const Count = builder.objectRef<{ action: RetryAction; count: number }>('RetryCount').implement({
  description: 'How many steps become this.',
  fields: (t) => ({
    action: t.field({ type: Action, description: 'What.', resolve: ({ action }) => action }),
    count: t.exposeInt('count', { description: 'How many.' }),
  }),
})

const FROM = 'Begin with this step: it runs again, and so does what follows it.'
const FROM_START = 'Use nothing again.'
const NEWEST =
  "Run the flow's newest version instead of the one that ran: steps that are defined differently there run again, and what follows them."

builder.queryField('planRetry', (t) =>
  t.field({
    type: RetryPlan,
    nullable: true,
    authScopes: { may: 'EXECUTIONS_READ' },
    complexity: 10,
    description: 'What `retryExecution` would do with an execution; null when there is none, or none that you may see.',
    args: {
      id: t.arg.id({ required: true, description: 'The execution, which must have ended.' }),
      from: t.arg.string({ description: FROM }),
      fromStart: t.arg.boolean({ description: FROM_START }),
      newestVersion: t.arg.boolean({ description: NEWEST }),
    },
    resolve: (_root, { id, ...rest }, call) => readRetryPlan(call, { ...given(rest), id: uuidOf('execution', id) }),
  }),
)

mutation('retryExecution', {
  description:
    'Tries an execution that has ended again, as a new one that uses again what succeeded before the failure. Ask `planRetry` first what will run.',
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    id: t.id({ required: true, description: 'The execution, which must have ended.' }),
    from: t.string({ description: FROM }),
    fromStart: t.boolean({ description: FROM_START }),
    input: t.field({ type: 'JSON', description: 'Give it this input instead: then it begins from the start.' }),
    newestVersion: t.boolean({ description: NEWEST }),
    reason: t.string({ description: 'Why, for people; at most 500 characters.' }),
    idempotencyKey: t.string({
      description:
        'Of two calls with the same key and input only the first does something; both get the same answer. 1 to 200 characters.',
    }),
  }),
  resolve: async (call, { id, input, ...rest }) => {
    const args = { ...given(rest), id: uuidOf('execution', id), ...(input != null && { input }) }
    const started = await retryExecution(call, args)
    return isProblem(started) ? started : withExecution(call, started)
  },
  success: (t) => ({
    execution: t.field({ type: Execution, description: 'The new execution.', resolve: ({ execution }) => execution }),
    replayed: t.exposeBoolean('replayed', { description: 'An earlier call with this idempotency key started it.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'ILLEGAL_STATE', 'STATE_TOO_LARGE', 'LIMIT_REACHED', 'IDEMPOTENCY_MISMATCH'],
})

builder.objectFields(Execution, (t) => ({
  retriedBy: t.field({
    type: Execution,
    nullable: true,
    description: 'The execution that tried it again last; null when none did, or when you may not see that one.',
    resolve: ({ id }, _args, call) => loadersOf(call).retries.load(id),
  }),
}))
