/** Following an execution live: `executionFeed` and its frames. */
import type { ExecutionFrame } from '../live/frames.ts'
import { noteParts } from '../operations/audit/note-reads.ts'
import { requirePrincipal } from '../operations/permissions.ts'
import { builder } from './builder.ts'
import { COMMON_FRAMES, FeedFrame, FeedSource, Reason, selectsOneOf } from './feed.ts'
import { loadersOf } from './loaders.ts'
import { uuidOf } from './node-ids.ts'
import { Execution, ExecutionEvent, StepRun } from './refs.ts'

type FrameOf<Kind extends ExecutionFrame['kind']> = Extract<ExecutionFrame, { kind: Kind }>

const FRAME_TYPES = {
  ...COMMON_FRAMES,
  snapshot: builder.objectRef<FrameOf<'snapshot'>>('FeedSnapshot').implement({
    description: 'The execution as it is now: the first frame of a feed without `after`, and the first after a gap.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      execution: t.field({ type: Execution, description: 'Never older than `cursor`.', resolve: ({ execution }) => execution }),
    }),
  }),
  delta: builder.objectRef<FrameOf<'delta'>>('FeedDelta').implement({
    description: 'What happened next.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      events: t.field({
        type: [ExecutionEvent],
        description: 'The next events in the order of `seq`, at most 500; none is left out, none comes twice.',
        resolve: ({ events }) => [...events],
      }),
      steps: t.field({
        type: [StepRun],
        description: 'The steps that these events are about, as they are now.',
        resolve: async ({ execution, events }, _args, call) => {
          const changed = new Set(events.flatMap(({ path, step }) => [path, step]))
          return (await loadersOf(call).steps.load(execution)).filter(({ path }) => changed.has(path))
        },
      }),
      execution: t.field({ type: Execution, description: 'Never older than `cursor`.', resolve: ({ execution }) => execution }),
    }),
  }),
  end: builder.objectRef<FrameOf<'end'>>('FeedEnd').implement({
    description: 'The execution has ended and everything was sent. The subscription completes.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      reason: t.field({ type: Reason, description: 'Always FINISHED.', resolve: ({ reason }) => reason }),
      execution: t.field({ type: Execution, description: 'As it ended.', resolve: ({ execution }) => execution }),
    }),
  }),
} satisfies Record<ExecutionFrame['kind'], unknown>

export const FeedEnd = FRAME_TYPES.end

const ExecutionFeedFrame = builder.unionType('ExecutionFeedFrame', {
  description: 'One message of `executionFeed`.',
  types: Object.values(FRAME_TYPES),
  resolveType: ({ kind }) => FRAME_TYPES[kind],
})

builder.subscriptionField('executionFeed', (t) =>
  t.field({
    type: ExecutionFeedFrame,
    authScopes: { may: 'EXECUTIONS_READ' },
    description:
      'An execution live: a snapshot, then a delta for whatever happens, a heartbeat when nothing does, and the end. With `after`, only what came after that cursor; also when the execution has ended.',
    args: {
      id: t.arg.id({ required: true, description: 'The execution.' }),
      after: t.arg.string({
        description: "A frame's `cursor`, or `Execution.feedCursor`: go on from there, without a snapshot.",
      }),
    },
    subscribe: async (_root, { id, after }, call, info) => {
      const conflates = !selectsOneOf(['events', 'steps'], info)
      const order = { principal: requirePrincipal(call), executionId: uuidOf('execution', id), after, conflates }
      const feed = await call.feeds.openExecutionFeed(order)
      noteParts(call, [order.executionId], 'feed')
      return new FeedSource<ExecutionFrame>(feed)
    },
    resolve: (frame) => frame,
  }),
)
