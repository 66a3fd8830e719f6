/** Moments at which held executions want to be looked at again: one timer for all of them. */

export interface WakeQueue {
  /** Replaces the moment of `id`; null: none. Times are ms on the clock given at creation. */
  set(id: string, at: number | null): void
  close(): void
}

/** `now` must not go back; `fire` is called at or after the moment, once. */
export function createWakeQueue(now: () => number, fire: (id: string) => void): WakeQueue {
  const moments = new Map<string, number>()
  let timer: NodeJS.Timeout | undefined
  let timerAt = Number.POSITIVE_INFINITY

  // held executions that wait are few (waits beyond a second are released), so the next moment is found by a look at all of them
  function arm(at: number): void {
    if (at >= timerAt) return
    clearTimeout(timer)
    timerAt = at
    timer = setTimeout(ring, Math.max(0, Math.min(at - now(), 2 ** 31 - 1)))
  }

  function ring(): void {
    timerAt = Number.POSITIVE_INFINITY
    const time = now()
    let next = Number.POSITIVE_INFINITY
    for (const [id, at] of moments) {
      if (at <= time) {
        moments.delete(id)
        fire(id)
      } else next = Math.min(next, at)
    }
    if (next !== Number.POSITIVE_INFINITY) arm(next)
  }

  return {
    set(id, at) {
      if (at === null) moments.delete(id)
      else {
        moments.set(id, at)
        arm(at)
      }
    },
    close() {
      clearTimeout(timer)
      moments.clear()
    },
  }
}
