/**
 * What buses between processes have in common. A ring is heard here at once, whatever becomes of it elsewhere. Rings that come while
 * others are on their way go together with the next ones, equal ones once.
 */
import { randomUUID } from 'node:crypto'
import type { Logger } from '../log.ts'
import type { Bus } from './bus.ts'
import { createLocalBus } from './local-bus.ts'
import { packRings, unpackRings } from './ring-batch.ts'
import type { Ring } from './ring-batch.ts'

/** More than this waiting means that what carries them does not answer: hints are not worth the memory. */
const MAX_PENDING = 10_000

export interface BatchedBusOptions {
  /** Carries messages to the other processes, and maybe to this one. Never rejects: what cannot be sent is lost. */
  send(messages: readonly string[]): Promise<void>
  readonly log: Logger
}

export interface BatchedBus extends Bus {
  /** To be called with each message that comes. */
  receive(message: string): void
}

export function createBatchedBus({ send, log }: BatchedBusOptions): BatchedBus {
  const origin = randomUUID()
  const local = createLocalBus(log)
  const pending = new Map<string, Ring>()
  let flushing: Promise<void> | undefined
  let closed = false

  async function flush(): Promise<void> {
    // After this turn: rings of one turn go together.
    await new Promise(setImmediate)
    while (pending.size > 0) {
      const messages = packRings(origin, [...pending.values()])
      pending.clear()
      await send(messages)
    }
    flushing = undefined
  }

  return {
    ring(topic, payload) {
      if (closed) return
      local.ring(topic, payload)
      if (pending.size < MAX_PENDING)
        pending.set(JSON.stringify([topic, payload]), { topic, ...(payload !== undefined && { payload }) })
      flushing ??= flush()
    },
    listen: (topic, callback) => local.listen(topic, callback),
    receive(message) {
      const batch = unpackRings(message)
      // Our own rings were delivered here at once.
      if (batch === undefined || batch.origin === origin) return
      for (const { topic, payload } of batch.rings) local.ring(topic, payload)
    },
    async close() {
      closed = true
      await Promise.all([flushing, local.close()])
    },
  }
}
