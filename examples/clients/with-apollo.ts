/** Apollo Client: an execution followed to its end, wherever the connection is cut. Resolves when the feed has ended. */
import { ApolloClient, gql, InMemoryCache } from '@apollo/client'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { createClient } from 'graphql-ws'
import { resuming } from '../../clients/feed/feed.ts'
import { FOLLOW } from './frames.ts'
import type { Following, FollowFrame } from './frames.ts'

export function followWithApollo({ url, token, id, after, show }: Following): Promise<void> {
  const socket = createClient({
    url: url.replace('http', 'ws'),
    connectionParams: async () => ({ authorization: `Bearer ${await token()}` }),
    retryAttempts: Number.POSITIVE_INFINITY,
    retryWait: (retries) => new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(30_000, 500 * 2 ** retries))),
    shouldRetry: () => true,
  })
  // queries and mutations go over an HttpLink, as always: `ApolloLink.split` takes both
  const client = new ApolloClient({ link: new GraphQLWsLink(resuming(socket)), cache: new InMemoryCache() })
  return new Promise((resolve, reject) => {
    client
      .subscribe<{ executionFeed: FollowFrame }>({
        query: gql(FOLLOW),
        variables: { id, after },
        // frames are events, not things: the cache would keep the last one
        fetchPolicy: 'no-cache',
      })
      .subscribe({ next: ({ data }) => data && show(data.executionFeed), error: reject, complete: resolve })
  })
}
