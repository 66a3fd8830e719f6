/** Dispatch without a queue: the ready executions in PostgreSQL are the queue, and the bus rings for workers to look. */
import type { Bus } from './bus.ts'
import type { Dispatch } from './dispatch.ts'

/** Rung when there may be something to claim; the payload is the pool where. */
export const WORK_TOPIC = 'work'

export function createPostgresDispatch(bus: Bus): Dispatch {
  let closed = false
  return {
    offer({ pool }) {
      if (!closed) bus.ring(WORK_TOPIC, pool)
    },
    serve(pools, taker) {
      const unlisten = bus.listen(WORK_TOPIC, (pool) => (pool === undefined || pools.includes(pool)) && taker.look())
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
