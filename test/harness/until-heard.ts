/** Two buses that find each other. */
import { expect } from 'vitest'
import type { Bus } from '../../src/fleet/bus.ts'

/** Rings until it is heard there. */
export async function untilHeard(from: Bus, to: Bus, timeout = 20_000): Promise<void> {
  let heard = false
  const stop = to.listen('topic', () => (heard = true))
  await expect
    .poll(
      () => {
        from.ring('topic')
        return heard
      },
      { timeout },
    )
    .toBe(true)
  stop()
}
