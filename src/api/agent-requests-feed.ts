/** Following what is asked, live: `agentRequestsFeed` and its frames. */
import type { AgentRequestsFrame } from '../live/agent-requests-topic.ts'
import { MOST_REQUESTS } from '../operations/agent-requests/follow-agent-requests.ts'
import type { AgentRequestHead } from '../operations/load-by-id.ts'
import { noteOther } from '../operations/audit/note-reads.ts'
import { requirePrincipal } from '../operations/permissions.ts'
import { builder } from './builder.ts'
import { FeedEnd } from './execution-feed.ts'
import { COMMON_FRAMES, FeedFrame, FeedSource } from './feed.ts'
import { AgentRequest } from './refs.ts'

type RequestsFrame = AgentRequestsFrame<AgentRequestHead>
type FrameOf<Kind extends RequestsFrame['kind']> = Extract<RequestsFrame, { kind: Kind }>

const FRAME_TYPES = {
  ...COMMON_FRAMES,
  snapshot: builder.objectRef<FrameOf<'snapshot'>>('AgentRequestsSnapshot').implement({
    description:
      'What is open now, in place of all that came before: the first frame of a feed without `after`, and the first after a gap.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      requests: t.field({
        type: [AgentRequest],
        description: `Those that are open, the oldest first, at most ${MOST_REQUESTS}.`,
        complexity: { field: 1, multiplier: MOST_REQUESTS },
        resolve: ({ requests }) => [...requests],
      }),
      hasMore: t.exposeBoolean('hasMore', { description: 'More are open: ask `agentRequests` for them.' }),
    }),
  }),
  delta: builder.objectRef<FrameOf<'delta'>>('AgentRequestsDelta').implement({
    description: 'What has been asked, answered, voted on or closed, and notices.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      requests: t.field({
        type: [AgentRequest],
        description: `Those that are new or have changed, as they are now, the oldest first, at most ${MOST_REQUESTS}. What is not \`OPEN\` wants no answer any more.`,
        complexity: { field: 1, multiplier: MOST_REQUESTS },
        resolve: ({ requests }) => [...requests],
      }),
    }),
  }),
  // there are always more to come; clients that follow several things treat all feeds alike
  end: FeedEnd,
} satisfies Record<RequestsFrame['kind'] | 'end', unknown>

const AgentRequestsFeedFrame = builder.unionType('AgentRequestsFeedFrame', {
  description: 'One message of `agentRequestsFeed`. It has no end: no `FeedEnd` comes.',
  types: Object.values(FRAME_TYPES),
  resolveType: ({ kind }) => FRAME_TYPES[kind],
})

builder.subscriptionField('agentRequestsFeed', (t) =>
  t.field({
    type: AgentRequestsFeedFrame,
    authScopes: { may: 'REQUESTS_READ' },
    description:
      'The inbox of a role, or of whoever asks, live: what is open, then whatever is asked, answered or closed, and a heartbeat when nothing is. With `after`, only what came after that cursor.',
    args: {
      role: t.arg.string({ description: 'Only what this role is asked. Else all that you may see.' }),
      after: t.arg.string({
        description: "A frame's `cursor`: go on from there, with the same role or another, without a snapshot.",
      }),
    },
    subscribe: async (_root, { role, after }, call) => {
      const principal = requirePrincipal(call)
      const wanted = role == null ? {} : { role }
      const feed = await call.feeds.openAgentRequestsFeed({ principal, wanted, after })
      noteOther(call, 'agentRequestsFeeds', 1)
      return new FeedSource<RequestsFrame>(feed)
    },
    resolve: (frame) => frame,
  }),
)
