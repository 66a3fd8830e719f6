/** graphql-sse: the same over server-sent events, where a WebSocket cannot go. Resolves when the feed has ended. */
import { createClient } from 'graphql-sse'
import { resuming } from '../../clients/feed/feed.ts'
import { FOLLOW } from './frames.ts'
import type { Following, FollowFrame } from './frames.ts'

export function followWithGraphqlSse({ url, token, id, after, show }: Following): Promise<void> {
  const client = resuming(
    createClient({
      url,
      headers: async () => ({ authorization: `Bearer ${await token()}` }),
      retryAttempts: Number.POSITIVE_INFINITY,
      retry: (retries) => new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(30_000, 500 * 2 ** retries))),
    }),
  )
  return new Promise((resolve, reject) => {
    client.subscribe<{ executionFeed: FollowFrame }>(
      { query: FOLLOW, variables: { id, after } },
      { next: ({ data }) => data && show(data.executionFeed), error: reject, complete: resolve },
    )
  })
}
