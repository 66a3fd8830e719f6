/** Starting, canceling, pausing and resuming executions. */
import { isProblem } from '../errors.ts'
import { cancelExecution } from '../operations/executions/cancel-execution.ts'
import type { ControlExecution, controlExecution } from '../operations/executions/control-execution.ts'
import { getExecution } from '../operations/executions/get-execution.ts'
import { pauseExecution } from '../operations/executions/pause-execution.ts'
import { resumeExecution } from '../operations/executions/resume-execution.ts'
import { startExecution } from '../operations/executions/start-execution.ts'
import type { Started } from '../operations/executions/start-execution.ts'
import type { Call } from '../operations/call.ts'
import { LabelInput } from './execution-list.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Execution } from './refs.ts'

mutation('startExecution', {
  description:
    "Starts an execution of a flow's newest version and answers at once, or when it has ended if you say how long to wait.",
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    flow: t.string({ required: true, description: 'The id or the name of the flow: `"x"` or `"owner/x"`.' }),
    input: t.field({
      type: 'JSON',
      description: "An object of at most 1,000,000 bytes that fits the flow's schema; `{}` when not given.",
    }),
    idempotencyKey: t.string({
      description:
        'Of two calls with the same key and input only the first starts something; both get the same answer. 1 to 200 characters.',
    }),
    labels: t.field({ type: [LabelInput], description: 'At most 20 tags to find it by.' }),
    priority: t.int({ description: 'From -100 to 100, 0 when not given; higher begins first.' }),
    startAt: t.field({ type: 'DateTime', description: 'Not before this time.' }),
    waitMs: t.int({ description: 'Answer when it has ended, but after so many milliseconds at the latest: 0 to 30000.' }),
  }),
  resolve: async (call, { input, ...rest }) => {
    const started = await startExecution(call, { ...given(rest), flow: rest.flow, input: input === undefined ? {} : input })
    return isProblem(started) ? started : withExecution(call, started)
  },
  success: (t) => ({
    execution: t.field({ type: Execution, description: 'The execution as it is now.', resolve: ({ execution }) => execution }),
    replayed: t.exposeBoolean('replayed', { description: 'An earlier call with this idempotency key started it.' }),
    cached: t.boolean({
      description: 'It is an earlier execution with the same input, whose output is given again: the flow has a `cache`.',
      resolve: ({ cached = false }) => cached,
    }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'AMBIGUOUS', 'STATE_TOO_LARGE', 'LIMIT_REACHED', 'IDEMPOTENCY_MISMATCH'],
})

/** What starts answer with. */
export async function withExecution(call: Call, { executionId, ...started }: Started) {
  const execution = await getExecution(call, executionId)
  return isProblem(execution) ? execution : { execution, ...started }
}

function control(
  name: string,
  description: string,
  reason: string,
  useCase: (call: Call, args: ControlExecution) => ReturnType<typeof controlExecution>,
) {
  mutation(name, {
    description,
    scopes: { may: 'EXECUTIONS_WRITE' },
    input: (t) => ({
      id: t.id({ required: true, description: 'The execution.' }),
      reason: t.string({ description: reason }),
    }),
    resolve: async (call, { id, reason: why }) => {
      const execution = await useCase(call, { id: uuidOf('execution', id), reason: why ?? undefined })
      return isProblem(execution) ? execution : { execution }
    },
    success: (t) => ({
      execution: t.field({ type: Execution, description: 'The execution as it is now.', resolve: ({ execution }) => execution }),
    }),
    problems: ['VALIDATION', 'NOT_FOUND', 'ILLEGAL_STATE', 'LIMIT_REACHED'],
  })
}

control(
  'cancelExecution',
  'Ends an execution: at once when nothing of it runs, else within seconds. What still runs then is fenced off.',
  'Why, for people; at most 500 characters.',
  cancelExecution,
)
control(
  'pauseExecution',
  'Pauses an execution: nothing of it begins until it is resumed.',
  'Why, for people; at most 500 characters.',
  pauseExecution,
)
control('resumeExecution', 'Lets a paused execution go on.', 'Why, for people; at most 500 characters.', resumeExecution)
