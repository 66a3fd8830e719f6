/** Feeds over one WebSocket that they share (graphql-transport-ws, by the client of graphql-ws). */
import { createClient } from 'graphql-ws'
import type { FeedError } from './state.ts'
import { SessionOver } from './transport.ts'
import type { GetToken, Outcome, Result, Transport } from './transport.ts'

export interface WebSocketOptions {
  /** `https://` and `http://` are taken too */
  readonly url: string
  readonly token?: GetToken
  /** the class to use, where there is none by the name `WebSocket` */
  readonly webSocketImpl?: unknown
}

/** What the server closes with when coming back is of no use: the token is wrong or revoked (4401), or we do not speak its language. */
const FINAL = new Set([1003, 1007, 1008, 1009, 4400, 4401, 4406, 4409, 4429])
const EXPIRED = 4403
/** A page that changes from one feed to the next keeps its socket. */
const IDLE_MS = 3_000

export function overWebSocket({ url, token, webSocketImpl }: WebSocketOptions): Transport {
  let expired = false
  const client = createClient({
    url: url.replace(/^http/, 'ws'),
    ...(token && {
      async connectionParams() {
        const was = expired
        expired = false
        return { authorization: `Bearer ${await token(was)}` }
      },
    }),
    ...(webSocketImpl !== undefined && { webSocketImpl }),
    // a feed resumes by itself: it knows where
    retryAttempts: 0,
    lazyCloseTimeout: IDLE_MS,
  })
  let connected = false
  client.on('connected', () => (connected = true))
  client.on('closed', (event) => {
    connected = false
    if ((event as { code?: number }).code === EXPIRED) expired = true
  })
  return {
    subscribe({ query, variables }, sink) {
      let left = false
      const open = (): void => {
        forget()
        if (!left) sink.open()
      }
      const forget = client.on('connected', open)
      if (connected) queueMicrotask(open)
      const over = (outcome: Outcome): void => {
        forget()
        if (!left) sink.over(outcome)
        left = true
      }
      const unsubscribe = client.subscribe(
        { query, variables },
        {
          next: (result) => left || sink.next(result as Result),
          error: (why) => over(outcomeOf(why)),
          complete: () => over({ how: 'completed' }),
        },
      )
      return () => {
        left = true
        forget()
        unsubscribe()
      }
    },
    renew(isExpired) {
      expired ||= isExpired
      client.terminate()
    },
  }
}

/** The errors of a refusal, a close event, or whatever else there was. */
function outcomeOf(why: unknown): Outcome {
  if (Array.isArray(why)) return { how: 'refused', errors: why as FeedError[] }
  if (why instanceof SessionOver) return { how: 'lost', why: why.message, final: true }
  const { code, reason } = why as { code?: unknown; reason?: unknown }
  if (typeof code !== 'number') return { how: 'lost', why: why instanceof Error ? why.message : 'no connection' }
  return { how: 'lost', why: [code, reason].filter(Boolean).join(' '), final: FINAL.has(code) }
}
