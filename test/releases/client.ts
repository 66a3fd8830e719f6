/** A client of a release, kept or new: what it asks, and the feeds that it follows. */

/** What a document asks for is what it reads; an answer with errors is thrown. */
// oxlint-disable-next-line no-explicit-any
export async function ask(url: string, token: string | undefined, query: string, variables: object = {}): Promise<any> {
  const answer = await post(url, token, { query, variables })
  const { data, errors } = (await answer.json()) as { data: unknown; errors?: unknown }
  if (errors) throw new Error(`${query}: ${JSON.stringify(errors)}`)
  return data
}

const post = (url: string, token: string | undefined, body: object, more: { accept?: string; signal?: AbortSignal } = {}) =>
  fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(token && { authorization: `Bearer ${token}` }),
      ...(more.accept && { accept: more.accept }),
    },
    body: JSON.stringify(body),
    ...(more.signal && { signal: more.signal }),
  })

/** The feeds that are kept, each by the field of the subscription; `$id` is of the execution. */
export const FEEDS = {
  executionFeed: `executionFeed(id: $id, after: $after) { __typename ... on FeedFrame { cursor }
    ... on FeedSnapshot { execution { lastSeq } } ... on FeedDelta { events { seq type } } }`,
  executionsFeed: `executionsFeed(after: $after) { __typename ... on FeedFrame { cursor } ... on ExecutionsDelta { executions { id status } } }`,
  agentRequestsFeed: `agentRequestsFeed(after: $after) { __typename ... on FeedFrame { cursor } ... on AgentRequestsDelta { requests { id status } } }`,
  auditFeed: `auditFeed(after: $after) { __typename ... on FeedFrame { cursor } ... on AuditDelta { events { id type } } }`,
} as const
export type FeedName = keyof typeof FEEDS

export interface Frame {
  __typename: string
  cursor: string
  execution?: { lastSeq: number }
  events?: { seq?: number; type: string }[]
  executions?: { id: string; status: string }[]
  requests?: { id: string; status: string }[]
}

/** Frames as they come; heartbeats are left out. Whoever stops reading leaves. */
export async function* follow(
  url: string,
  token: string,
  feed: FeedName,
  { id, after }: { id: string; after?: string },
): AsyncGenerator<Frame, undefined> {
  const leaving = new AbortController()
  const variables = feed === 'executionFeed' ? '$id: ID!, $after: String' : '$after: String'
  const query = `subscription (${variables}) { ${FEEDS[feed]} }`
  const body = { query, variables: feed === 'executionFeed' ? { id, after } : { after } }
  const answer = await post(url, token, body, { accept: 'text/event-stream', signal: leaving.signal })
  if (!answer.ok) throw new Error(`${feed}: ${await answer.text()}`)
  try {
    let text = ''
    for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
      const blocks = (text + chunk).split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) {
        const [, data] = /^data: ?(.+)$/m.exec(block) ?? []
        if (!/^event: ?next$/m.test(block) || data === undefined) continue
        const { data: told, errors } = JSON.parse(data) as { data?: Record<string, Frame>; errors?: unknown }
        if (errors) throw new Error(`${feed}: ${JSON.stringify(errors)}`)
        const frame = told![feed]!
        if (frame.__typename !== 'FeedHeartbeat') yield frame
      }
    }
  } finally {
    leaving.abort()
  }
}
