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
  const arrived = new Map<string, Ring>()
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

  function hearArrived(): void {
    for (const { topic, payload } of arrived.values()) local.ring(topic, payload)
    arrived.clear()
  }

  return {
    ring(topic, payload) {
      if (closed) return
      local.ring(topic, payload)
      keep(pending, { topic, ...(payload !== undefined && { payload }) })
      flushing ??= flush()
    },
    listen: (topic, callback) => local.listen(topic, callback),
    receive(message) {
      const batch = unpackRings(message)
      // Our own rings were delivered here at once.
      if (batch === undefined || batch.origin === origin) return
      // equal ones once a turn: whoever floods the bus with them has it heard no more often than this process comes to it
      if (arrived.size === 0) setImmediate(hearArrived)
      for (const ring of batch.rings) keep(arrived, ring)
    },
    async close() {
      closed = true
      await Promise.all([flushing, local.close()])
    },
  }
}

function keep(rings: Map<string, Ring>, ring: Ring): void {
  if (rings.size < MAX_PENDING) rings.set(JSON.stringify([ring.topic, ring.payload]), ring)
}
