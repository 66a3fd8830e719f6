/** Canceling, pausing, resuming and retrying many executions at once, by a filter; first only counted. */
import { encodeId } from '../ids.ts'
import { controlExecutions, MOST_AT_ONCE, MOST_COUNTED } from '../operations/executions/control-executions.ts'
import type { Bulk, BulkVerb } from '../operations/executions/control-executions.ts'
import { builder } from './builder.ts'
import { ExecutionFilter, filterOf } from './execution-list.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'

const Refused = builder.objectRef<Bulk['refused'][number]>('RefusedExecution').implement({
  description: 'An execution to which it was not done.',
  fields: (t) => ({
    executionId: t.id({ description: 'Which one.', resolve: ({ executionId }) => encodeId('execution', executionId) }),
    code: t.exposeString('code', { description: 'Why not, such as `ILLEGAL_STATE` for one that has ended meanwhile.' }),
    message: t.exposeString('message', { description: 'Why not, for people.' }),
  }),
})

function bulk(verb: BulkVerb, description: string) {
  const most = MOST_AT_ONCE[verb]
  mutation(`${verb}Executions`, {
    description: `${description} At most ${most} a call: repeat it until nothing remains. With \`dryRun\` it only counts.`,
    scopes: { may: 'EXECUTIONS_WRITE' },
    cost: 100,
    input: (t) => ({
      filter: t.field({
        type: ExecutionFilter,
        required: true,
        description:
          'Which ones, of those that you may control. Children go with their parents: they are left out unless `flow` or `parent` is given.',
      }),
      reason: t.string({ description: 'Why, for people; at most 500 characters.' }),
      dryRun: t.boolean({ description: 'Change nothing: say how many there are.' }),
      expectedCount: t.int({ description: 'Do nothing unless there are so many of them when it begins.' }),
      idempotencyKey: t.string({
        description:
          'A call that is repeated with its key goes on with what there was when it came first, and takes in nothing that came later. 1 to 200 characters.',
      }),
    }),
    resolve: (call, { filter, ...rest }) => controlExecutions(call, verb, { ...given(rest), filter: filterOf(filter) }),
    success: (t) => ({
      matched: t.exposeInt('matched', { description: `How many there were when it began, counted to ${MOST_COUNTED}.` }),
      done: t.exposeInt('done', { description: 'To how many of them this call did it.' }),
      refused: t.field({ type: [Refused], description: 'Those to which it was not done.', resolve: ({ refused }) => refused }),
      remaining: t.exposeInt('remaining', { description: `How many are left, counted to ${MOST_COUNTED}.` }),
    }),
    problems: ['VALIDATION', 'ILLEGAL_STATE', 'IDEMPOTENCY_MISMATCH'],
  })
}

bulk('cancel', 'Ends executions, as `cancelExecution` does.')
bulk('pause', 'Pauses executions, as `pauseExecution` does.')
bulk('resume', 'Lets paused executions go on.')
bulk('retry', 'Tries executions again that ended badly and were not tried again yet, each from the step that failed.')
