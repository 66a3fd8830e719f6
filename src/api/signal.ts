/** Telling a running execution something, and what it was told. */
import { Fault } from '../errors.ts'
import { MAX_SIGNALS_READ } from '../operations/executions/read-signals.ts'
import type { SignalView } from '../operations/executions/read-signals.ts'
import { signalExecution } from '../operations/executions/signal-execution.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { PAYLOAD_COST } from './payload-field.ts'
import { Execution } from './refs.ts'

const Signal = builder.objectRef<SignalView>('ExecutionSignal').implement({
  description: 'A signal that an execution received.',
  fields: (t) => ({
    seq: t.exposeInt('seq', { description: 'The `seq` of its event: the order in which they came.' }),
    name: t.exposeString('name', { description: 'Its name.' }),
    data: t.field({ type: 'JSON', nullable: true, description: 'What belongs to it.', resolve: ({ data }) => data }),
    bytes: t.exposeInt('bytes', { description: 'The size of `data`, as compact JSON in UTF-8.' }),
    sentBy: t.exposeString('sentBy', { description: 'The id of who sent it: a user, or the key of an agent.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When it came.' }),
    takenBy: t.exposeString('takenBy', { nullable: true, description: 'The path of the step run that took it; null: it waits.' }),
  }),
})

builder.objectField(Execution, 'signals', (t) =>
  t.field({
    type: [Signal],
    description: 'The signals that it received, in the order in which they came.',
    complexity: ({ first }) => ({ field: PAYLOAD_COST, multiplier: Math.min(Math.max(first, 1), MAX_SIGNALS_READ) }),
    args: {
      after: t.arg.int({ required: true, defaultValue: 0, description: 'Only signals with a higher `seq`.' }),
      first: t.arg.int({ required: true, defaultValue: 20, description: `How many: 0 to ${MAX_SIGNALS_READ}.` }),
    },
    resolve: ({ id, version }, { after, first }, call) => {
      if (first < 0 || first > MAX_SIGNALS_READ)
        throw new Fault('BAD_REQUEST', `\`first\` must be from 0 to ${MAX_SIGNALS_READ}.`)
      return loadersOf(call).signals.load({ id, version, executionId: id, after, first })
    },
  }),
)

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
