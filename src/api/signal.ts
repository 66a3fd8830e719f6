/** Telling a running execution something. */
import { signalExecution } from '../operations/signal-execution.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Execution } from './refs.ts'

mutation('signalExecution', {
  description:
    'Sends a signal to an execution. The step that waits for it takes it; when none waits yet, it is kept for the one that will.',
  scopes: { may: 'EXECUTIONS_WRITE' },
  input: (t) => ({
    id: t.id({ required: true, description: 'The execution.' }),
    signal: t.string({ required: true, description: 'The name of the signal: one that a step of its flow version waits for.' }),
    data: t.field({
      type: 'JSON',
      description: 'Whatever belongs to it, at most 1,000,000 bytes with all that waits to be taken.',
    }),
    idempotencyKey: t.string({
      description:
        'Of two calls with the same key and content only the first counts; both get the same result. 1 to 200 characters.',
    }),
  }),
  resolve: (call, { id, signal, data, idempotencyKey }) =>
    signalExecution(call, { id: uuidOf('execution', id), signal, data, idempotencyKey: idempotencyKey ?? undefined }),
  success: (t) => ({
    execution: t.field({ type: Execution, description: 'The execution as it is now.', resolve: ({ execution }) => execution }),
    replayed: t.exposeBoolean('replayed', { description: 'An earlier call with this idempotency key sent it.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'ILLEGAL_STATE', 'LIMIT_REACHED', 'IDEMPOTENCY_MISMATCH'],
})
