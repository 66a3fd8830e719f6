/** Following many executions live: `executionsFeed` and its frames. */
import type { ExecutionsFrame } from '../live/executions-topic.ts'
import { MOST_FOLLOWED } from '../operations/executions/follow-executions.ts'
import { wantedExecutions } from '../operations/executions/list-executions.ts'
import { noteOther } from '../operations/audit/note-reads.ts'
import { requirePrincipal } from '../operations/permissions.ts'
import { encodeId } from '../ids.ts'
import { builder } from './builder.ts'
import { FeedEnd } from './execution-feed.ts'
import { ExecutionFilter, filterOf } from './execution-list.ts'
import { COMMON_FRAMES, FeedFrame, FeedSource } from './feed.ts'
import { Execution } from './refs.ts'

type FrameOf<Kind extends ExecutionsFrame['kind']> = Extract<ExecutionsFrame, { kind: Kind }>

const FRAME_TYPES = {
  ...COMMON_FRAMES,
  snapshot: builder.objectRef<FrameOf<'snapshot'>>('ExecutionsSnapshot').implement({
    description:
      'What there is now, in place of all that came before: the first frame of a feed without `after`, and the first after a gap.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      executions: t.field({
        type: [Execution],
        description: `Those that match, the newest first, at most ${MOST_FOLLOWED}. Ask \`executions\` for more.`,
        complexity: { field: 1, multiplier: MOST_FOLLOWED },
        resolve: ({ executions }) => [...executions],
      }),
    }),
  }),
  delta: builder.objectRef<FrameOf<'delta'>>('ExecutionsDelta').implement({
    description: 'What has changed: states, of which each replaces the one before, and no history.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      executions: t.field({
        type: [Execution],
        description: `Those that are new or have changed and match, as they are now, the oldest first, at most ${MOST_FOLLOWED}.`,
        complexity: { field: 1, multiplier: MOST_FOLLOWED },
        resolve: ({ executions }) => [...executions],
      }),
      left: t.idList({
        description: 'Those that have another status now than the filter wants; some you may never have been shown.',
        resolve: ({ left }) => left.map((id) => encodeId('execution', id)),
      }),
    }),
  }),
  // there are always more executions to come; clients that follow several things treat all feeds alike
  end: FeedEnd,
} satisfies Record<ExecutionsFrame['kind'] | 'end', unknown>

const ExecutionsFeedFrame = builder.unionType('ExecutionsFeedFrame', {
  description: 'One message of `executionsFeed`. It has no end: no `FeedEnd` comes.',
  types: Object.values(FRAME_TYPES),
  resolveType: ({ kind }) => FRAME_TYPES[kind],
})

builder.subscriptionField('executionsFeed', (t) =>
  t.field({
    type: ExecutionsFeedFrame,
    authScopes: { may: 'EXECUTIONS_READ' },
    description:
      'The executions that you may see, live: a snapshot, then at most four times a second what has changed, and a heartbeat when nothing has. With `after`, only what changed after that cursor, which is good for an hour.',
    args: {
      filter: t.arg({ type: ExecutionFilter, description: 'Which ones. A flow is the one that has this name now.' }),
      after: t.arg.string({
        description: "A frame's `cursor`: go on from there, with the same filter or another, without a snapshot.",
      }),
    },
    subscribe: async (_root, { filter, after }, call) => {
      const principal = requirePrincipal(call)
      const wanted = (await wantedExecutions(call, filterOf(filter))) ?? null
      const feed = await call.feeds.openExecutionsFeed({ principal, wanted, after })
      noteOther(call, 'executionsFeeds', 1)
      return new FeedSource<ExecutionsFrame>(feed)
    },
    resolve: (frame) => frame,
  }),
)
