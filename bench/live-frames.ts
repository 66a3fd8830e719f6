/** What goes over the sockets of bench/live.ts, and the words between its processes. */

export type LiveSystem = 'sluice' | 'yoga' | 'raw'

export const FEED = `subscription ($id: ID!) { executionFeed(id: $id) {
  __typename
  ... on FeedFrame { cursor }
  ... on FeedDelta { events { seq type at step path attempt data } execution { status version lastSeq } } } }`

/** To a server: publish event `seq`, tell what you have used, or end. */
export type ServerOrder = { publish: number } | 'usage' | 'close'
export interface ServerReply {
  /** where it listens */
  ready?: string
  usage?: { cpuMs: number; rssBytes: number }
  failed?: string
}

/** To the clients: open so many sockets; of them each follows one of these executions, as one of these principals. */
export interface ClientOrder {
  sockets: number
  url: string
  tokens: readonly string[]
  ids: readonly string[]
}
export interface ClientReply {
  opened?: true
  /** all sockets have this event, each so many ms after it was published */
  received?: { seq: number; latenciesMs: number[] }
  failed?: string
}

/** What Sluice sends of one event, so that the others send as many bytes. */
export const frameOf = (seq: number, published: number): { executionFeed: object } => ({
  executionFeed: {
    __typename: 'FeedDelta',
    cursor: 'MTowMTkwYTAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDE6MTIzNA',
    events: [
      {
        ...{ seq, type: 'step.started', at: new Date(published).toISOString(), step: 'a', path: 'a', attempt: 1 },
        data: dataOf(published),
      },
    ],
    execution: { status: 'RUNNING', version: seq + 1, lastSeq: seq },
  },
})

/** `published`: ms since 1970, by this machine's clock. */
export const dataOf = (published: number): object => ({ published, note: 'x'.repeat(150) })
