/** The bus within one process. */
import type { Logger } from '../log.ts'
import type { Bus, BusListener } from './bus.ts'

export function createLocalBus(log: Logger): Bus {
  const topics = new Map<string, Set<BusListener>>()

  function call(listener: BusListener, topic: string, payload: string | undefined): void {
    // It may have stopped listening since the ring.
    if (!topics.get(topic)?.has(listener)) return
    try {
      listener(payload)
    } catch (error) {
      log.error({ err: error }, 'a listener of the bus threw')
    }
  }

  return {
    ring(topic, payload) {
      const listeners = topics.get(topic)
      if (listeners === undefined) return
      const called = [...listeners]
      setImmediate(() => {
        for (const listener of called) call(listener, topic, payload)
      })
    },
    listen(topic, given) {
      // Its own identity: the same function may listen twice, and each stops for itself.
      const listener: BusListener = (payload) => given(payload)
      const listeners = topics.get(topic) ?? new Set()
      topics.set(topic, listeners.add(listener))
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0 && topics.get(topic) === listeners) topics.delete(topic)
      }
    },
    async close() {
      topics.clear()
    },
  }
}
