/** Dispatch without a queue: the ready executions in PostgreSQL are the queue, and the bus rings for workers to look. */
import type { Bus } from './bus.ts'
import type { Dispatch } from './dispatch.ts'

/** Rung when there may be something to claim. */
export const WORK_TOPIC = 'work'

export function createPostgresDispatch(bus: Bus): Dispatch {
  let closed = false
  return {
    offer() {
      if (!closed) bus.ring(WORK_TOPIC)
    },
    serve(_pools, taker) {
      const unlisten = bus.listen(WORK_TOPIC, () => taker.look())
      return {
        wake() {},
        async stop() {
          unlisten()
        },
      }
    },
    lookEveryMs: 0,
    async close() {
      closed = true
    },
  }
}
