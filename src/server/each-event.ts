/** A subscription's events, each rendered when it is asked for. */
import type { ExecutionResult, GraphQLError } from 'graphql'

/**
 * By hand: the `return()` of an async generator waits for its pending `next()`, so leaving would wait for an event that may never
 * come. Here leaving ends the pending `next()`. What `source` or `render` throws goes through `present` and ends the stream.
 */
export function eachEvent(
  source: AsyncIterable<unknown>,
  render: (event: unknown) => Promise<ExecutionResult>,
  present: (thrown: unknown) => GraphQLError,
): AsyncIterableIterator<ExecutionResult> {
  type Step = IteratorResult<ExecutionResult>
  const events = source[Symbol.asyncIterator]()
  const end: Step = { done: true, value: undefined }
  let left = false
  let leave: (() => void) | undefined

  async function step(): Promise<Step> {
    try {
      const next: IteratorResult<unknown> = await events.next()
      return next.done ? end : { done: false, value: await render(next.value) }
    } catch (thrown) {
      endSource()
      throw present(thrown)
    }
  }
  function endSource(): void {
    left = true
    events.return?.().catch(() => undefined)
  }

  return {
    next: () =>
      new Promise((resolve, reject) => {
        leave = () => resolve(end)
        if (left) leave()
        else step().then(resolve, reject)
      }),
    async return() {
      endSource()
      leave?.()
      return end
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
