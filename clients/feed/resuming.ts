/** Resuming for clients that come back by themselves: of graphql-ws, alone or inside Apollo Client and urql, and of graphql-sse. */
import type { Frame } from './state.ts'

interface Payload {
  variables?: Record<string, unknown> | null | undefined
}
interface Sink {
  next(result: unknown): void
  error?(error: unknown): void
  complete?(): void
}
type Subscribe = (payload: Payload, sink: Sink, ...more: unknown[]) => () => void

/**
 * These clients write the variables of a subscription anew each time that they come back. Here `after` is always the cursor of the last
 * frame, so that nothing is missed and nothing comes twice. The document declares `$after` and selects `cursor` in every frame.
 */
export function resuming<Client extends object>(client: Client): Client {
  const { subscribe } = client as { subscribe: Subscribe }
  const subscribeResuming: Subscribe = (payload, sink, ...more) => {
    const variables: Record<string, unknown> = { ...payload.variables }
    const next = (result: unknown): void => {
      const cursor = cursorOf(result)
      if (cursor !== undefined) variables['after'] = cursor
      sink.next(result)
    }
    const own = { next, error: (error: unknown) => sink.error?.(error), complete: () => sink.complete?.() }
    return subscribe({ ...payload, variables }, own, ...more)
  }
  return { ...client, subscribe: subscribeResuming }
}

function cursorOf(result: unknown): string | undefined {
  const { data } = result as { data?: Readonly<Record<string, Partial<Frame> | null>> | null }
  return Object.values(data ?? {})[0]?.cursor
}
