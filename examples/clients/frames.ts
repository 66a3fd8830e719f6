/** What the examples of other clients ask for, and what they show of it. */

export const FOLLOW = `subscription ($id: ID!, $after: String) {
  executionFeed(id: $id, after: $after) {
    __typename
    ... on FeedFrame { cursor }
    ... on FeedSnapshot { execution { status version } }
    ... on FeedDelta { events { seq type step } execution { status version } }
    ... on FeedEnd { reason execution { status version } }
    ... on FeedClosed { reason }
  }
}`

export interface FollowFrame {
  __typename: string
  cursor: string
  events?: readonly { seq: number; type: string; step: string | null }[]
  execution?: { status: string; version: number }
  reason?: string
}

/** Who follows what, where, and who is told. */
export interface Following {
  /** of `/graphql` */
  url: string
  /** the access token as of now, asked for at each connection */
  token: () => string | Promise<string>
  id: string
  /** resume here */
  after?: string
  show: (frame: FollowFrame) => void
}
