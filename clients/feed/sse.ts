/**
 * Feeds as server-sent events over `fetch`: where a WebSocket cannot go. One response a feed; browsers allow six of them to one host over
 * HTTP/1.1.
 */
import { createEventReader } from './event-stream.ts'
import type { FeedError } from './state.ts'
import { SessionOver } from './transport.ts'
import type { GetToken, Operation, Outcome, Result, Sink, Transport } from './transport.ts'

export interface SseOptions {
  readonly url: string
  readonly token?: GetToken
  readonly fetch?: typeof globalThis.fetch
}

export function overSse({ url, token, fetch = globalThis.fetch }: SseOptions): Transport {
  let expired = false

  async function ask({ query, variables }: Operation, signal: AbortSignal): Promise<Response> {
    const was = expired
    expired = false
    const authorization = token && `Bearer ${await token(was)}`
    return fetch(url, {
      method: 'POST',
      headers: {
        ...{ 'content-type': 'application/json', accept: 'text/event-stream' },
        ...(authorization !== undefined && { authorization }),
      },
      body: JSON.stringify({ query, variables }),
      signal,
    })
  }

  async function follow(
    operation: Operation,
    { open, next }: Pick<Sink, 'open' | 'next'>,
    signal: AbortSignal,
  ): Promise<Outcome> {
    const response = await ask(operation, signal)
    if (response.status === 204) return { how: 'completed' }
    if (!response.headers.get('content-type')?.startsWith('text/event-stream') || response.body === null) {
      return refusalOf(response)
    }
    open()
    const read = createEventReader()
    const decoder = new TextDecoder()
    const reader = response.body.getReader()
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return { how: 'lost', why: 'the response ended' }
      for (const { event, data } of read(decoder.decode(value, { stream: true }))) {
        if (event === 'next') next(JSON.parse(data) as Result)
        else if (event === 'complete') return { how: 'completed' }
      }
    }
  }

  return {
    subscribe(operation, sink) {
      const aborter = new AbortController()
      const { signal } = aborter
      const own = {
        open: () => signal.aborted || sink.open(),
        next: (result: Result) => signal.aborted || sink.next(result),
      }
      void follow(operation, own, signal)
        .catch((error: unknown): Outcome => ({
          how: 'lost',
          why: error instanceof Error ? error.message : String(error),
          final: error instanceof SessionOver,
        }))
        .then((outcome) => signal.aborted || sink.over(outcome))
      return () => aborter.abort()
    },
    renew(isExpired) {
      expired ||= isExpired
    },
  }
}

/** The errors that the server answered with; something else (a proxy, perhaps) answered for it when there are none. */
async function refusalOf(response: Response): Promise<Outcome> {
  const { errors } = (await response.json().catch(() => ({}))) as { errors?: readonly FeedError[] }
  return errors ? { how: 'refused', errors } : { how: 'lost', why: `HTTP ${response.status}` }
}
