/** What every feed may say beside what it is of: for the documents of the feeds of many things. */
export const COMMON_FRAMES = /* GraphQL */ `
      ... on FeedFrame {
        cursor
      }
      ... on FeedHeartbeat {
        serverTime
      }
      ... on FeedGap {
        reason
      }
      ... on FeedEnd {
        reason
      }
      ... on FeedClosed {
        reason
      }
`
