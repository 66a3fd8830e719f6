/** Slots: an execution of a flow with `concurrency` holds one, or waits for one behind others. */
import type { Slot as SlotView } from '../operations/executions/read-slots.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { Execution, Flow } from './refs.ts'

export const Slot = builder.objectRef<SlotView>('Slot').implement({
  description: 'What an execution of a flow with `concurrency` holds while it runs, and waits for before.',
  fields: (t) => ({
    execution: t.field({ type: Execution, nullable: true, description: 'Whose it is.', resolve: ({ id }) => id }),
    flow: t.field({ type: Flow, nullable: true, description: 'The flow that has the limit.', resolve: ({ flowId }) => flowId }),
    key: t.exposeString('key', {
      nullable: true,
      description: 'Executions with the same key share the limit; null when all of the flow do, or when it is sensitive.',
    }),
    max: t.exposeInt('max', { description: 'How many may be held with this key.' }),
    held: t.exposeInt('held', { description: 'How many are held.' }),
    waiting: t.exposeInt('waiting', { description: 'How many wait for one.' }),
    askedAt: t.expose('askedAt', { type: 'DateTime', description: 'When it was asked for.' }),
    heldAt: t.expose('heldAt', { type: 'DateTime', nullable: true, description: 'Since when it is held; null while it waits.' }),
    place: t.exposeInt('place', { nullable: true, description: 'Its place in the queue, from 1; null when it does not wait.' }),
    holders: t.field({
      type: [Execution],
      nullable: { list: false, items: true },
      description: 'Who holds the slots of this key, as far as you may see them.',
      resolve: ({ id }, _args, call) => loadersOf(call).slotHolders.load(id),
    }),
  }),
})
