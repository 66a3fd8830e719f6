/** Those who watch a drill over WebSocket from its beginning to its end: one of all its executions, many of one execution each. */
import { createFeed, executionFeed, executionsFeed, executionsFeedOf } from '../../clients/feed/feed.ts'
import type { ExecutionRow, ExecutionsView, ExecutionView, FeedState, GetToken } from '../../clients/feed/feed.ts'
import { overWebSocket } from '../../clients/feed/websocket.ts'
import { LABEL } from './load.ts'

/** What the followers saw, when all is over. */
export interface Followed {
  readonly all: FeedState<ExecutionsView>
  readonly each: ReadonlyMap<string, FeedState<ExecutionView>>
  /** how often a feed was cut off and came back */
  readonly resumed: number
}

export interface Followers {
  readonly executions: readonly ExecutionRow[]
  /** Follows it, if there is room for one more. */
  follow(id: string): void
  /** Resolves with what they have when all that was followed has ended as far as they know, or when `patience` is over. */
  settle(ids: readonly string[], patience: AbortSignal): Promise<Followed>
  stop(): void
}

/** One socket carries so many feeds of single executions at a time. */
const AT_ONCE = 40
/** Far more than a drill starts. */
const ALL = 1_000_000

export function startFollowers({ url, token, drill }: { url: string; token: GetToken; drill: string }): Followers {
  const transport = overWebSocket({ url, token })
  const states = new Map<string, FeedState<ExecutionView>>()
  const stops = new Set<() => void>()
  let open = 0
  let resumed = 0
  let onNews = (): void => undefined

  const countResuming = (before: string, { status }: { status: string }): void => {
    if (before === 'live' && status === 'resuming') resumed += 1
  }
  const kind = executionsFeedOf(executionsFeed.document, ALL)
  const all = createFeed({ transport, kind, variables: { filter: { label: { key: LABEL, value: drill } } } })
  let allWas: string = all.state.status
  stops.add(
    all.subscribe((state) => {
      countResuming(allWas, state)
      allWas = state.status
      onNews()
    }),
  )

  function follow(id: string): void {
    if (open >= AT_ONCE) return
    open += 1
    const feed = createFeed({ transport, kind: executionFeed, variables: { id } })
    states.set(id, feed.state)
    const stop = feed.subscribe((state) => {
      countResuming(states.get(id)!.status, state)
      states.set(id, state)
      if (state.status !== 'ended') return
      open -= 1
      stops.delete(stop)
      stop()
      onNews()
    })
    stops.add(stop)
  }

  return {
    get executions() {
      return all.state.view.executions
    },
    follow,
    async settle(ids, patience) {
      const { promise, resolve } = Promise.withResolvers<void>()
      patience.addEventListener('abort', () => resolve(), { once: true })
      onNews = () => {
        const ended = new Set(all.state.view.executions.flatMap(({ id, finishedAt }) => (finishedAt === null ? [] : [id])))
        if (open === 0 && ids.every((id) => ended.has(id))) resolve()
      }
      onNews()
      await promise
      return { all: all.state, each: states, resumed }
    },
    stop: () => stops.forEach((stop) => stop()),
  }
}
