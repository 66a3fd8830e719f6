/**
 * Dispatch without a queue: the ready executions in PostgreSQL are the queue, and the bus rings for a worker to look. One is woken for
 * an offer, not all: sixteen would claim sixteen times, for one to find it.
 */
import type { Bus } from './bus.ts'
import type { Dispatch } from './dispatch.ts'
import { createPeers, stepsIn } from './peers.ts'

/** Rung for all workers when there may be something to claim and it is not known who they are; the payload is the pool where. */
export const WORK_TOPIC = 'work'

export function createPostgresDispatch(bus: Bus): Dispatch {
  const peers = createPeers(bus)
  let closed = false
  return {
    offer({ pool, step }) {
      if (closed || (step !== undefined && peers.wakeOne(stepsIn(pool)) === 'woken')) return
      // a step that nobody has room for too: one of them remembers to look when it has
      if (peers.wakeOne(pool) === 'nobody') bus.ring(WORK_TOPIC, pool)
    },
    serve(pools, taker) {
      const unlisten = bus.listen(WORK_TOPIC, (pool) => (pool === undefined || pools.includes(pool)) && taker.look())
      const peer = peers.join(pools, () => taker.room() > 0, taker.look)
      const ofSteps = peers.join(pools.map(stepsIn), taker.hasRoomForSteps, taker.look)
      return {
        wake() {
          // while all were full nobody was woken
          if (peer.tellRoom()) taker.look()
        },
        async stop() {
          unlisten()
          peer.leave()
          ofSteps.leave()
        },
      }
    },
    lookEveryMs: 0,
    async close() {
      closed = true
      peers.close()
    },
  }
}
