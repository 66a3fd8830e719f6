/** Following an execution live: `executionFeed` and its frames. */
import { FEED_REASONS } from '../live/frames.ts'
import type { ExecutionFrame, FeedReason } from '../live/frames.ts'
import { noteParts } from '../operations/note-reads.ts'
import { requirePrincipal } from '../operations/permissions.ts'
import { builder } from './builder.ts'
import { loadersOf } from './loaders.ts'
import { uuidOf } from './node-ids.ts'
import { Execution, ExecutionEvent, StepRun } from './refs.ts'

type FrameOf<Kind extends ExecutionFrame['kind']> = Extract<ExecutionFrame, { kind: Kind }>

const Reason = builder.enumType('FeedReason', {
  description: 'Why a feed ended, was closed, or has a gap.',
  values: Object.fromEntries(Object.entries(FEED_REASONS).map(([reason, description]) => [reason, { description }])) as Record<
    FeedReason,
    { description: string }
  >,
})

const FeedFrame = builder.interfaceRef<ExecutionFrame>('FeedFrame').implement({
  description: 'What every frame of a feed has.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', {
      description: 'Where the feed is after this frame: subscribe again with `after` to go on here.',
    }),
  }),
})

const FRAME_TYPES = {
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
          const changed = new Set(events.map(({ path }) => path))
          return (await loadersOf(call).steps.load(execution)).filter(({ path }) => changed.has(path))
        },
      }),
      execution: t.field({ type: Execution, description: 'Never older than `cursor`.', resolve: ({ execution }) => execution }),
    }),
  }),
  heartbeat: builder.objectRef<FrameOf<'heartbeat'>>('FeedHeartbeat').implement({
    description: 'Nothing happened for 15 seconds; the feed is well.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      serverTime: t.expose('serverTime', { type: 'DateTime', description: "The server's clock." }),
    }),
  }),
  gap: builder.objectRef<FrameOf<'gap'>>('FeedGap').implement({
    description:
      'Events between your cursor and this one are missing, for good. The feed goes on from here by itself: a snapshot, then the events that are left.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      reason: t.field({ type: Reason, description: 'Why they are missing.', resolve: ({ reason }) => reason }),
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
  closed: builder.objectRef<FrameOf<'closed'>>('FeedClosed').implement({
    description:
      'The server ends the feed though the execution goes on. After ACCESS_REVOKED the subscription completes; after the others the connection is closed: connect again and resume after `cursor`.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      reason: t.field({ type: Reason, description: 'Why it was closed.', resolve: ({ reason }) => reason }),
    }),
  }),
} satisfies Record<ExecutionFrame['kind'], unknown>

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
    subscribe: async (_root, { id, after }, call) => {
      const executionId = uuidOf('execution', id)
      const feed = await call.feeds.openExecutionFeed({ principal: requirePrincipal(call), executionId, after })
      noteParts(call, [executionId], 'feed')
      return feed
    },
    resolve: (frame) => frame,
  }),
)
