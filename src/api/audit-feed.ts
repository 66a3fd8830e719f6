/** Following the audit log live: `auditFeed` and its frames; with `security: true` it is the administrators' alarm. */
import type { AuditFrame } from '../live/read-audit.ts'
import { noteOther } from '../operations/audit/note-reads.ts'
import { requireAuditReader } from '../operations/refuse.ts'
import { AuditFilter, wantedEvents } from './audit.ts'
import { builder } from './builder.ts'
import { FeedEnd } from './execution-feed.ts'
import { COMMON_FRAMES, FeedFrame, FeedSource } from './feed.ts'
import { AuditEvent } from './refs.ts'

type FrameOf<Kind extends AuditFrame['kind']> = Extract<AuditFrame, { kind: Kind }>

const FRAME_TYPES = {
  ...COMMON_FRAMES,
  snapshot: builder.objectRef<FrameOf<'snapshot'>>('AuditSnapshot').implement({
    description: 'The end of the log as it is now: the first frame of a feed without `after`, and the first after a gap.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      events: t.field({
        type: [AuditEvent],
        description: 'The last that match, at most 50 of the last 10,000 events, the oldest first. Ask `auditEvents` for more.',
        resolve: ({ events }) => [...events],
      }),
    }),
  }),
  delta: builder.objectRef<FrameOf<'delta'>>('AuditDelta').implement({
    description: 'What was sealed next.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      events: t.field({
        type: [AuditEvent],
        description:
          'The next events that match, in the order of their commits, at most about 2,000; none is left out, none comes twice.',
        resolve: ({ events }) => [...events],
      }),
    }),
  }),
  // the log has none; clients that follow several things treat all feeds alike
  end: FeedEnd,
} satisfies Record<AuditFrame['kind'] | 'end', unknown>

const AuditFeedFrame = builder.unionType('AuditFeedFrame', {
  description: 'One message of `auditFeed`. The log has no end: no `FeedEnd` comes.',
  types: Object.values(FRAME_TYPES),
  resolveType: ({ kind }) => FRAME_TYPES[kind],
})

builder.subscriptionField('auditFeed', (t) =>
  t.field({
    type: AuditFeedFrame,
    authScopes: { may: 'AUDIT_READ' },
    description:
      'The audit log live, for administrators: a snapshot, then whatever is sealed, within a second of its commit, and a heartbeat when nothing is. With `after`, only what came after that cursor.',
    args: {
      filter: t.arg({ type: AuditFilter, description: 'Which events.' }),
      after: t.arg.string({
        description: "A frame's `cursor`: go on from there, with the same filter or another, without a snapshot.",
      }),
    },
    subscribe: async (_root, { filter, after }, call) => {
      const principal = await requireAuditReader(call)
      const feed = await call.feeds.openAuditFeed({ principal, filter: wantedEvents(filter), after })
      noteOther(call, 'auditFeeds', 1)
      return new FeedSource<AuditFrame>(feed)
    },
    resolve: (frame) => frame,
  }),
)
