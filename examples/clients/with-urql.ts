/** urql: an execution followed to its end, wherever the connection is cut. Resolves when the feed has ended. */
import { Client, fetchExchange, subscriptionExchange } from '@urql/core'
import { createClient } from 'graphql-ws'
import { resuming } from '../../clients/feed/feed.ts'
import { FOLLOW } from './frames.ts'
import type { Following, FollowFrame } from './frames.ts'

export function followWithUrql({ url, token, id, after, show }: Following): Promise<void> {
  const socket = resuming(
    createClient({
      url: url.replace('http', 'ws'),
      connectionParams: async () => ({ authorization: `Bearer ${await token()}` }),
      retryAttempts: Number.POSITIVE_INFINITY,
      retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(30_000, 500 * 2 ** retries))),
      shouldRetry: () => true,
    }),
  )
  const exchange = subscriptionExchange({
    forwardSubscription: ({ query = '', variables }) => ({
      subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
    }),
  })
  const client = new Client({ url, exchanges: [fetchExchange, exchange], preferGetMethod: false })
  return new Promise((resolve, reject) => {
    client.subscription<{ executionFeed: FollowFrame }>(FOLLOW, { id, after }).subscribe(({ data, error, hasNext }) => {
      if (error) reject(error)
      // at the end urql gives the last result again
      else if (!hasNext) resolve()
      else if (data) show(data.executionFeed)
    })
  })
}
