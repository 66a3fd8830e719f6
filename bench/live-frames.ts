/** What goes over the sockets of bench/live.ts, and the words between its processes. */

export type LiveSystem = 'sluice' | 'yoga' | 'raw'

export const FEED = `subscription ($id: ID!) { executionFeed(id: $id) {
  __typename
  ... on FeedFrame { cursor }
  ... on FeedDelta { events { seq type at step path attempt data } execution { status version lastSeq } } } }`

/** To a server: publish the event with this number, tell what you have used or what you hold, or end. */
export type ServerOrder = { publish: number } | 'cpu' | 'memory' | 'close'
export interface ServerReply {
  /** where it listens */
  ready?: string
  cpuMs?: number
  /** resident; what is live of JavaScript's, after a garbage collection */
  memory?: { rssBytes: number; liveBytes: number }
  failed?: string
}

/** To the clients: open so many sockets, as this principal; each follows one of these executions. */
export interface ClientOrder {
  sockets: number
  url: string
  token: string
  ids: readonly string[]
}
export interface ClientReply {
  opened?: true
  /** all who follow it have this event, each so many ms after it was published */
  received?: { number: number; latenciesMs: number[] }
  failed?: string
}

/** What Sluice sends of one event, so that the others send as many bytes. */
export const frameOf = (number: number, published: number): { executionFeed: object } => ({
  executionFeed: {
    __typename: 'FeedDelta',
    cursor: 'MTowMTkwYTAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDE6MTIzNA',
    events: [
      {
        ...{ seq: number + 1, type: 'step.started', at: new Date(published).toISOString(), step: 'a', path: 'a', attempt: 1 },
        data: dataOf(number, published),
      },
    ],
    execution: { status: 'RUNNING', version: number + 2, lastSeq: number + 1 },
  },
})

/** In the order in which PostgreSQL keeps the fields of a `jsonb`. `published`: ms since 1970, by this machine's clock. */
export const dataOf = (number: number, published: number): object => ({ note: 'x'.repeat(150), number, published })
export const MARKS = /"number":(\d+),"published":(\d+)/g
