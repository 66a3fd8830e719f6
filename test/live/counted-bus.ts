/** The local bus, counting its listeners, so that a test sees a leak. */
import type { Bus } from '../../src/fleet/bus.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import { createLog } from '../../src/log.ts'

export function countedBus(): Bus & { listeners(): number } {
  const bus = createLocalBus(createLog('silent'))
  let listeners = 0
  return {
    ...bus,
    listen(topic, listener) {
      const unlisten = bus.listen(topic, listener)
      listeners += 1
      return () => {
        unlisten()
        listeners -= 1
      }
    },
    listeners: () => listeners,
  }
}
