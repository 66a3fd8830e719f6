/** What all feeds of the API share: the frames that say nothing of what is followed, and how a feed comes out of a resolver. */
import type { GraphQLResolveInfo, SelectionNode } from 'graphql'
import type { Feed } from '../live/feeds.ts'
import { FEED_REASONS } from '../live/frames.ts'
import type { CommonFrame, FeedReason } from '../live/frames.ts'
import type { Frame } from '../live/topic.ts'
import { builder } from './builder.ts'

type FrameOf<Kind extends CommonFrame['kind']> = Extract<CommonFrame, { kind: Kind }>

export const Reason = builder.enumType('FeedReason', {
  description: 'Why a feed ended, was closed, or has a gap.',
  values: Object.fromEntries(Object.entries(FEED_REASONS).map(([reason, description]) => [reason, { description }])) as Record<
    FeedReason,
    { description: string }
  >,
})

export const FeedFrame = builder.interfaceRef<Frame>('FeedFrame').implement({
  description: 'What every frame of a feed has.',
  fields: (t) => ({
    cursor: t.exposeString('cursor', {
      description: 'Where the feed is after this frame: subscribe again with `after` to go on here.',
    }),
  }),
})

/** By kind: what every feed may say. */
export const COMMON_FRAMES = {
  heartbeat: builder.objectRef<FrameOf<'heartbeat'>>('FeedHeartbeat').implement({
    description: 'Nothing happened for 15 seconds; the feed is well.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      serverTime: t.expose('serverTime', { type: 'DateTime', description: "The server's clock." }),
    }),
  }),
  gap: builder.objectRef<FrameOf<'gap'>>('FeedGap').implement({
    description:
      'Events between your cursor and this one are missing, for good. The feed goes on from here by itself: a snapshot, then the events that are left. After RESTORED what you had is of another history: drop it.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      reason: t.field({ type: Reason, description: 'Why they are missing.', resolve: ({ reason }) => reason }),
    }),
  }),
  closed: builder.objectRef<FrameOf<'closed'>>('FeedClosed').implement({
    description:
      'The server ends the feed though what it follows goes on. After ACCESS_REVOKED the subscription completes; after the others the connection is closed: connect again and resume after `cursor`.',
    interfaces: [FeedFrame],
    fields: (t) => ({
      reason: t.field({ type: Reason, description: 'Why it was closed.', resolve: ({ reason }) => reason }),
    }),
  }),
} satisfies Record<CommonFrame['kind'], unknown>

/**
 * What a subscription's resolver answers: a feed that the door follows. It looks like the stream that GraphQL wants, but nobody pulls
 * it: frames are rendered once for all who would get the same, and pushed.
 */
export class FeedSource<F> implements AsyncIterable<F> {
  readonly feed: Feed<string>

  constructor(feed: Feed<string>) {
    this.feed = feed
  }

  [Symbol.asyncIterator](): AsyncIterator<F> {
    throw new Error('a feed is followed, not pulled')
  }
}

/** Whether the subscription selects one of these fields of its frames: then nothing may be left out on the way to the newest state. */
export function selectsOneOf(fields: readonly string[], { fieldNodes, fragments }: GraphQLResolveInfo): boolean {
  const selects = (selections: readonly SelectionNode[] = []): boolean =>
    selections.some((selection) => {
      if (selection.kind === 'Field') return fields.includes(selection.name.value)
      const inner = selection.kind === 'InlineFragment' ? selection : fragments[selection.name.value]
      return selects(inner?.selectionSet.selections)
    })
  return fieldNodes.some(({ selectionSet }) => selects(selectionSet?.selections))
}
