/**
 * A feed that looks after itself: it begins when somebody listens, resumes exactly when it is cut off, and rests when nobody listens
 * any more. Framework-free; `subscribe` and `state` are what `useSyncExternalStore` of React and the like want.
 */
import { judge, RETRY_TIMES, waitMs } from './retry.ts'
import type { RetryTimes } from './retry.ts'
import { ended, initialState, reduce } from './state.ts'
import type { FeedKind, FeedState, Frame } from './state.ts'
import type { Outcome, Result, Transport } from './transport.ts'

export { agentRequestsFeed, agentRequestsFeedOf } from './agent-requests-feed.ts'
export type { AgentRequest, AgentRequestsView } from './agent-requests-feed.ts'
export { auditFeed, auditFeedOf } from './audit-feed.ts'
export type { AuditEvent, AuditView } from './audit-feed.ts'
export { executionFeed, executionFeedOf, holesOf } from './execution-feed.ts'
export type { ExecutionEvent, ExecutionFields, ExecutionState, ExecutionView, StepRun } from './execution-feed.ts'
export { executionsFeed, executionsFeedOf } from './executions-feed.ts'
export type { ExecutionRow, ExecutionsView } from './executions-feed.ts'
export { resuming } from './resuming.ts'
export { initialState, reduce } from './state.ts'
export type { FeedEnding, FeedError, FeedKind, FeedState, FeedStatus, Frame, Gap } from './state.ts'
export { SessionOver } from './transport.ts'
export type { GetToken, Operation, Outcome, Result, Sink, Transport } from './transport.ts'

/** How often the server sends one when nothing happens. */
const HEARTBEAT_MS = 15_000
/** Without any frame: heartbeats until the state is stale, and until the connection is given up. */
const STALE_AFTER = 1.5
const LOST_AFTER = 2.5

export interface FeedOptions<View> {
  readonly transport: Transport
  readonly kind: FeedKind<View>
  /** those of the document; `after` in them is where to begin */
  readonly variables?: Readonly<Record<string, unknown>>
  /** 15,000, as the server has it */
  readonly heartbeatMs?: number
  readonly retry?: Partial<RetryTimes>
}

export interface Feed<View> {
  readonly state: FeedState<View>
  /** Follows while somebody listens. Call what it returns to stop; whoever listens again goes on where it was. */
  subscribe(listener: (state: FeedState<View>) => void): () => void
  /** An answer of the API about the same thing (`{ execution }`): taken in, unless it is older. */
  offer(part: object): void
}

export function createFeed<View>(options: FeedOptions<View>): Feed<View> {
  const { transport, kind, variables = {}, heartbeatMs = HEARTBEAT_MS } = options
  const times = { ...RETRY_TIMES, ...options.retry }
  const { after } = variables as { after?: string }
  const listeners = new Set<(state: FeedState<View>) => void>()
  let state = initialState(kind, after)
  let leave: (() => void) | undefined
  /** tries since the last frame */
  let failures = 0
  let timer: ReturnType<typeof setTimeout> | undefined

  function set(next: FeedState<View>): void {
    state = next
    for (const listener of [...listeners]) {
      try {
        listener(state)
      } catch (error) {
        // whose mistake it is shall hear of it; the connection and the other listeners have no part in it
        queueMicrotask(() => {
          throw error
        })
      }
    }
  }

  function connect(): void {
    let over = false
    watch()
    const unsubscribe = transport.subscribe(
      { query: kind.document, variables: { ...variables, ...(state.cursor !== undefined && { after: state.cursor }) } },
      {
        // whoever resumes may hear nothing for a heartbeat; whoever begins waits for the snapshot
        open: () => over || state.cursor === undefined || set({ ...state, status: 'live', problem: undefined }),
        next: (result) => over || receive(result),
        over: (outcome) => over || settle(outcome),
      },
    )
    leave = () => {
      over = true
      leave = undefined
      unsubscribe()
    }
  }

  /** Nothing has come for too long: first that is said, then the connection is given up. */
  function watch(): void {
    clearTimeout(timer)
    timer = setTimeout(() => {
      timer = setTimeout(() => comeBack('nothing came', { renew: true }), heartbeatMs * (LOST_AFTER - STALE_AFTER))
      // last: whoever hears it may stop listening
      if (state.status === 'live') set({ ...state, status: 'stale' })
    }, heartbeatMs * STALE_AFTER)
  }

  function rest(): void {
    clearTimeout(timer)
    leave?.()
  }

  function receive({ data, errors = [] }: Result): void {
    // aliased or not, there is one field in a subscription
    const frame = Object.values(data ?? {})[0] as Frame | null | undefined
    if (frame == null) return settle({ how: 'refused', errors })
    watch()
    const next = reduce(state, frame, kind)
    // being closed is no success: else a token that nobody renews would bring us back at once, again and again
    if (next.status !== 'resuming') failures = 0
    if (next.status === 'ended') rest()
    set(next)
    // the server ends this connection now, or has already
    if (next.status === 'resuming' && leave)
      comeBack(next.problem ?? '', { renew: true, expired: next.problem === 'TOKEN_EXPIRED' })
  }

  function settle(outcome: Outcome): void {
    if (outcome.how === 'lost' && !outcome.final) return comeBack(outcome.why)
    const errors = outcome.how === 'refused' ? outcome.errors : outcome.how === 'lost' ? [{ message: outcome.why }] : []
    const judgement = outcome.how === 'refused' ? judge(errors) : undefined
    if (judgement && !judgement.final) {
      const { expired, waitMs: least } = judgement
      return comeBack(errors[0]?.message ?? '', { renew: expired, expired, least })
    }
    rest()
    set(ended(state, outcome.how === 'completed' ? 'FINISHED' : 'REFUSED', errors))
  }

  function comeBack(problem: string, { renew = false, expired = false, least = 0 } = {}): void {
    rest()
    if (renew) transport.renew(expired)
    const wait = least + waitMs(failures, times, Math.random())
    failures += 1
    timer = setTimeout(connect, wait)
    set({ ...state, status: 'resuming', problem })
  }

  return {
    get state() {
      return state
    },
    subscribe(listener) {
      // the same function twice is two listeners
      const own = (next: FeedState<View>): void => listener(next)
      listeners.add(own)
      if (listeners.size === 1 && state.status !== 'ended') connect()
      return () => {
        if (!listeners.delete(own) || listeners.size > 0) return
        rest()
        if (state.status !== 'ended') state = { ...state, status: 'resuming' }
      }
    },
    offer(part) {
      const view = kind.take(state.view, part)
      if (view !== state.view) set({ ...state, view })
    },
  }
}
