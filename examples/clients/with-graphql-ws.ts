/** graphql-ws alone: an execution followed to its end, wherever the connection is cut. Resolves when the feed has ended. */
import { createClient } from 'graphql-ws'
import { resuming } from '../../clients/feed/feed.ts'
import { FOLLOW } from './frames.ts'
import type { Following, FollowFrame } from './frames.ts'

export function followWithGraphqlWs({ url, token, id, after, show }: Following): Promise<void> {
  const client = resuming(
    createClient({
      url: url.replace('http', 'ws'),
      connectionParams: async () => ({ authorization: `Bearer ${await token()}` }),
      retryAttempts: Number.POSITIVE_INFINITY,
      retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(30_000, 500 * 2 ** retries))),
      shouldRetry: () => true,
    }),
  )
  return new Promise((resolve, reject) => {
    client.subscribe<{ executionFeed: FollowFrame }>(
      { query: FOLLOW, variables: { id, after } },
      { next: ({ data }) => data && show(data.executionFeed), error: reject, complete: resolve },
    )
  })
}
