/** Requests over GraphQL alone: the feed of what is asked, and the mutation that answers. Agents of one role all see all of it. */
import { COMMON_FRAMES } from '../feed/common-frames.ts'
import { createFeed } from '../feed/feed.ts'
import type { FeedState } from '../feed/feed.ts'
import { agentRequestsFeedOf } from '../feed/agent-requests-feed.ts'
import type { AgentRequestsView } from '../feed/agent-requests-feed.ts'
import { overSse } from '../feed/sse.ts'
import { ask } from './ask.ts'
import type { Api } from './ask.ts'
import { AgentRefused } from './channel.ts'
import type { AgentNotice, AgentRequest, Channel, Message } from './channel.ts'
import { createGraphqlAnswers } from './graphql-answers.ts'
import { pause, unlessAborted } from './pause.ts'

export interface GraphqlChannelOptions extends Api {
  readonly roles: readonly string[]
}

interface Shown {
  readonly id: string
  readonly version: number
  readonly status: string
  readonly kind: string
  readonly role: string
  readonly subject: string
  readonly request: unknown
  readonly step: string
  readonly createdAt: string
  readonly deadlineAt: string | null
  readonly execution: { readonly id: string } | null
}

interface Part {
  readonly __typename?: string
  readonly requests?: readonly Shown[]
  readonly hasMore?: boolean
}

/** A frame of a hundred stays under what an answer may have; what is larger is asked for by itself. */
const MAX_BODY_BYTES = 50_000

const REQUEST = `fragment Asked on AgentRequest {
  id version status kind role subject step createdAt deadlineAt request(maxBytes: ${MAX_BODY_BYTES}) execution { id } }`
const FOLLOW = `${REQUEST}
subscription Agent($after: String) { agentRequestsFeed(after: $after) {
  __typename ${COMMON_FRAMES}
  ... on AgentRequestsSnapshot { requests { ...Asked } hasMore }
  ... on AgentRequestsDelta { requests { ...Asked } } } }`
const MORE = `${REQUEST}
query AgentMore($role: String!, $after: String) {
  agentRequests(filter: { role: $role, status: [OPEN], kind: [REQUEST] }, orderBy: OLDEST_FIRST, first: 100, after: $after) {
    edges { node { ...Asked } } pageInfo { hasNextPage endCursor } } }`
const BODY = `query AgentBody($id: ID!) { node(id: $id) { ... on AgentRequest { request } } }`
const MORE_EVERY_MS = 1_000

/** Resolves when its feed tells of the first time, or could not be opened: it tries on then. Also when it is `stopped` before. */
export async function openGraphqlChannel({ url, apiKey, roles }: GraphqlChannelOptions, stopped: AbortSignal): Promise<Channel> {
  const api = { url, apiKey }
  const answers = createGraphqlAnswers(api)
  const isOurs = ({ role }: { role: string }): boolean => roles.includes(role)
  const kind = agentRequestsFeedOf<Shown>(FOLLOW)
  /** to be told, those that were left not before their time */
  const notices = new Map<string, { readonly notice: AgentNotice; readonly at: number }>()
  /** A snapshot shows the oldest that are open: what it says nothing of, because it is newer than this, is over when that is told. */
  let shownUpTo: string | undefined
  const toldOver = new Set<string>()
  /** by role: how far what is more was asked for; those before may all be left alone */
  const places = new Map<string, string>()
  const feed = createFeed({
    transport: overSse({ url, token: () => apiKey }),
    kind: {
      ...kind,
      take(view: AgentRequestsView<Shown>, part: object) {
        const { __typename, requests = [], hasMore } = part as Part
        for (const one of requests) {
          if (one.kind === 'NOTICE' && isOurs(one)) notices.set(one.id, { notice: noticeOf(one), at: 0 })
          if (one.status !== 'OPEN') toldOver.add(one.id)
        }
        if (hasMore === false) shownUpTo = undefined
        else if (__typename === 'AgentRequestsSnapshot') shownUpTo = requests.at(-1)?.id
        return kind.take(view, part)
      },
    },
  })
  const taken = new Set<string>()
  /** not to be offered before this time, ms since 1970 */
  const left = new Map<string, number>()
  const closed = new Set<(id: string) => void>()
  let news = Promise.withResolvers<void>()
  const opened = news.promise
  let askedMoreAt = 0

  const stop = feed.subscribe(({ view }) => {
    const open = new Set(view.requests.map(({ id }) => id))
    const isOver = (id: string): boolean => !open.has(id) && (toldOver.has(id) || shownUpTo === undefined || id <= shownUpTo)
    for (const id of taken) if (isOver(id)) for (const listener of closed) listener(id)
    for (const id of left.keys()) if (isOver(id)) left.delete(id)
    toldOver.clear()
    news.resolve()
    news = Promise.withResolvers()
  })

  function eligible({ view }: FeedState<AgentRequestsView<Shown>>): Message[] {
    const now = Date.now()
    const asked = view.requests.filter(
      (one) => one.kind === 'REQUEST' && isOurs(one) && !taken.has(one.id) && (left.get(one.id) ?? 0) <= now,
    )
    return [
      ...[...notices.values()].flatMap(({ notice, at }) => (at <= now ? { kind: 'notice' as const, notice } : [])),
      ...asked.map((one) => ({ kind: 'request' as const, request: requestOf(one) })),
    ]
  }

  /** The feed shows a hundred of what was open when it began. */
  async function askForMore(signal: AbortSignal): Promise<void> {
    if (!feed.state.view.hasMore || Date.now() - askedMoreAt < MORE_EVERY_MS) return
    askedMoreAt = Date.now()
    let hasMore = false
    for (const role of roles) {
      const { agentRequests } = await ask<{
        agentRequests: { edges: readonly { node: Shown }[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } }
      }>(api, MORE, { role, after: places.get(role) ?? null }, signal)
      const { hasNextPage, endCursor } = agentRequests.pageInfo
      hasMore ||= hasNextPage
      if (hasNextPage && endCursor !== null) places.set(role, endCursor)
      else places.delete(role)
      feed.offer({ __typename: 'AgentRequestsDelta', requests: agentRequests.edges.map(({ node }) => node), hasMore })
    }
  }

  /** Undefined: the API does not give the body now; it comes again. */
  async function whole(message: Message, signal: AbortSignal): Promise<Message | undefined> {
    if (message.kind !== 'request' || message.request.body !== null) return message
    const { id } = message.request
    try {
      const { node } = await ask<{ node: { request: unknown } | null }>(api, BODY, { id }, signal)
      return { kind: 'request', request: { ...message.request, body: node?.request ?? null } }
    } catch {
      leave(message, MORE_EVERY_MS)
      return undefined
    }
  }

  function leave(message: Message, forMs: number): void {
    const at = Date.now() + forMs
    if (message.kind === 'notice') return void notices.set(message.notice.id, { notice: message.notice, at })
    taken.delete(message.request.id)
    left.set(message.request.id, at)
  }

  await unlessAborted(opened, stopped)
  return {
    async next(most, signal) {
      for (;;) {
        signal.throwIfAborted()
        const { ending } = feed.state
        if (ending) throw new AgentRefused(ending.reason, ending.errors[0]?.message)
        const chosen = eligible(feed.state).slice(0, most)
        for (const message of chosen) {
          if (message.kind === 'request') taken.add(message.request.id)
          else notices.delete(message.notice.id)
        }
        const given = await Promise.all(chosen.map((message) => whole(message, signal)))
        if (given.some(Boolean)) return given.filter((message) => message !== undefined)
        const wait = new AbortController()
        await askForMore(signal).catch(() => undefined)
        // what was left is looked at again, though nothing is told of it
        await Promise.race([news.promise, pause(MORE_EVERY_MS, AbortSignal.any([signal, wait.signal])).catch(() => undefined)])
        wait.abort()
      }
    },

    answer: answers.send,

    async settle(message) {
      if (message.kind === 'notice') return
      const { id, deadlineAt } = message.request
      taken.delete(id)
      // until the feed has told that it is not open any more
      left.set(id, deadlineAt.getTime())
    },
    leave,
    onClosed: (listener) => void closed.add(listener),
    async close() {
      closed.clear()
      stop()
      answers.close()
    },
  }
}

const noticeOf = ({ id, role, subject, request, step, createdAt, execution }: Shown): AgentNotice => ({
  ...{ id, role, subject, body: request, step, execution: execution?.id, createdAt: new Date(createdAt) },
})
const requestOf = (shown: Shown): AgentRequest => ({ ...noticeOf(shown), deadlineAt: new Date(shown.deadlineAt ?? 8.64e15) })
