/** Who holds what, and how much is left: `limits`; and the slots that executions of one flow hold or wait for. */
import { listSlots, MAX_COUNT, MAX_HOLDERS } from '../operations/executions/read-slots.ts'
import { readRates, readRunning } from '../operations/executions/read-limits.ts'
import type { RateLeft, RunningLimit } from '../operations/executions/read-limits.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { uuidOf } from './node-ids.ts'
import { Slot } from './slot.ts'
import { User } from './viewer.ts'

const Running = builder.objectRef<RunningLimit>('RunningLimit').implement({
  description: 'How many executions of one initiator have not ended; children are not counted.',
  fields: (t) => ({
    initiator: t.field({
      type: User,
      nullable: true,
      description: 'Whose executions; null for agents.',
      resolve: ({ initiatorId }) => initiatorId,
    }),
    running: t.exposeInt('running', { description: 'Those that have not ended, also those that wait to begin.' }),
    max: t.exposeInt('max', { description: 'How many there may be; the next start is refused with LIMIT_REACHED.' }),
  }),
})

const Rate = builder.objectRef<RateLeft>('StartRate').implement({
  description: 'How often a flow may be started in a window of time.',
  fields: (t) => ({
    max: t.exposeInt('max', { description: 'Starts in one window.' }),
    per: t.expose('perMs', { type: 'Duration', description: 'How long a window is.' }),
    eachInitiator: t.exposeBoolean('eachInitiator', { description: 'Whether each who starts it has a limit of their own.' }),
    remaining: t.exposeInt('remaining', { description: 'Starts that are left in the present window.' }),
    resetMs: t.exposeFloat('resetMs', { description: 'Until all of them are back, in milliseconds.' }),
  }),
})

const SlotFilter = builder.inputType('SlotFilter', {
  description: 'Which slots; all that is given must hold.',
  fields: (t) => ({
    flow: t.id({ description: 'Of this flow.' }),
    held: t.boolean({ description: 'true: those that are held; false: those that are waited for.' }),
  }),
})

const [SLOT_CONNECTION, SLOT_EDGE] = connectionTypes(Slot, 'Slot')

const Limits = builder.objectRef<object>('Limits').implement({
  description: 'Who holds what, and how much is left.',
  fields: (t) => ({
    running: t.field({
      type: Running,
      description: "Yours; for administrators anybody's.",
      args: { initiator: t.arg.id({ description: 'Whose, for administrators.' }) },
      resolve: (_limits, { initiator }, call) => readRunning(call, initiator == null ? undefined : uuidOf('user', initiator)),
    }),
    slots: t.connection(
      {
        type: Slot,
        description: `Slots of the executions that you may see, the oldest first; numbers are counted up to ${MAX_COUNT}, of holders ${MAX_HOLDERS} are shown.`,
        complexity: connectionCost,
        args: { filter: t.arg({ type: SlotFilter, description: 'Which.' }) },
        resolve: (_limits, { filter, ...args }, call) => {
          const { flow, ...rest } = given(filter)
          const wanted = { ...rest, ...(flow !== undefined && { flowId: uuidOf('flow', flow) }) }
          return readPage(
            'slots',
            args,
            (page) => listSlots(call, wanted, page),
            ({ id }) => id,
            'OLDEST_FIRST',
          )
        },
      },
      SLOT_CONNECTION,
      SLOT_EDGE,
    ),
    rates: t.field({
      type: [Rate],
      nullable: true,
      description:
        'How often a flow may still be started, by its rules that need no input; null when there is none that you may see.',
      args: { flow: t.arg.string({ required: true, description: 'The id or the name of the flow.' }) },
      resolve: (_limits, { flow }, call) => readRates(call, flow),
    }),
  }),
})

builder.queryField('limits', (t) =>
  t.field({
    type: Limits,
    authScopes: { may: 'EXECUTIONS_READ' },
    description: 'Who holds what, and how much is left.',
    resolve: () => ({}),
  }),
)
