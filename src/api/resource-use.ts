/** Who and which flows took most of the machine lately: `resourceUse`, for administrators. */
import { listResourceUse, MAX_FIRST, MAX_RUNNING } from '../operations/audit/list-resource-use.ts'
import type { ResourceUseRow, UseBy, UseOrder } from '../operations/audit/list-resource-use.ts'
import { builder } from './builder.ts'
import { Flow } from './refs.ts'
import { User } from './viewer.ts'

const By = builder.enumType('ResourceUseBy', {
  description: 'Whose use is added up.',
  values: {
    INITIATOR: { description: 'Of whoever started the executions.' },
    FLOW: { description: 'Of the flows.' },
  } satisfies Record<UseBy, object>,
})

const Order = builder.enumType('ResourceUseOrder', {
  description: 'What the most is of.',
  values: {
    EXECUTIONS: { description: 'Executions that were started.' },
    PAYLOAD_BYTES: { description: 'Bytes of inputs and outputs.' },
    HANDLER_CPU: { description: 'CPU time of handlers.' },
  } satisfies Record<UseOrder, object>,
})

const ResourceUse = builder.objectRef<ResourceUseRow>('ResourceUse').implement({
  description: 'What one initiator or one flow took of the machine.',
  fields: (t) => ({
    initiator: t.field({
      type: User,
      nullable: true,
      description: 'Who started the executions; null by flow, for agents, and when the account is gone.',
      resolve: ({ by, id }) => (by === 'INITIATOR' ? id : null),
    }),
    flow: t.field({
      type: Flow,
      nullable: true,
      description: 'The flow; null by initiator.',
      resolve: ({ by, id }) => (by === 'FLOW' ? id : null),
    }),
    executions: t.exposeFloat('executions', { description: 'Executions that were started.' }),
    running: t.exposeFloat('running', {
      nullable: true,
      description: `Executions of the initiator that have not ended, now; counted up to ${MAX_RUNNING}.`,
    }),
    payloadBytes: t.exposeFloat('payloadBytes', { description: 'Bytes of inputs and outputs.' }),
    handlerAttempts: t.exposeFloat('handlerAttempts', { description: 'Attempts of handlers in processes.' }),
    handlerCpuMs: t.exposeFloat('handlerCpuMs', { description: 'Their CPU time, in milliseconds.' }),
    handlerMemoryBytes: t.exposeFloat('handlerMemoryBytes', { description: 'The most memory that one of them had.' }),
    exceeded: t.exposeFloat('exceeded', { description: 'How many took more than they may.' }),
  }),
})

builder.queryField('resourceUse', (t) =>
  t.field({
    type: [ResourceUse],
    authScopes: { role: 'ADMIN' },
    description:
      'Who or what took most of the machine, the most first. Whole hours; a few seconds late; what a process had counted when it was killed is missing.',
    complexity: ({ first }) => ({ field: 20, multiplier: Math.min(Math.max(first, 0), MAX_FIRST) }),
    args: {
      by: t.arg({ type: By, required: true, defaultValue: 'INITIATOR', description: 'Whose use is added up.' }),
      orderBy: t.arg({ type: Order, required: true, defaultValue: 'EXECUTIONS', description: 'What the most is of.' }),
      window: t.arg({
        type: 'Duration',
        required: true,
        defaultValue: 3_600_000,
        description: 'How far back, in whole hours with the present one; a day at most.',
      }),
      first: t.arg.int({ required: true, defaultValue: 20, description: `How many; at most ${MAX_FIRST}.` }),
    },
    resolve: (_root, { window: windowMs, ...rest }, call) => listResourceUse(call, { ...rest, windowMs }),
  }),
)
