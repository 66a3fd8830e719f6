/**
 * Limits counted in this process. Not rate-limiter-flexible's memory: it keeps a timer for each key and forgets none before its time,
 * so that inventing keys would cost memory without end.
 */
import { LRUCache } from 'lru-cache'
import { WINDOW_SECONDS } from './limiter.ts'
import type { Limiter, LimitRule, LimitState } from './limiter.ts'

/**
 * Beyond so many keys the one that was silent for longest is forgotten. Whoever wants to be forgotten has to ask as this many others
 * between two requests of its own. About 10 MB when full.
 */
const MAX_KEYS = 50_000

interface Window {
  taken: number
  readonly endsAt: number
}

export interface MemoryLimiterOptions {
  readonly maxKeys?: number
  /** ms, never goes back */
  readonly monotonic?: () => number
}

export function createMemoryLimiter(rule: LimitRule, options: MemoryLimiterOptions = {}): Limiter {
  const { maxKeys = rule.keys ?? MAX_KEYS, monotonic = () => performance.now() } = options
  const { points: limit, windowSeconds = WINDOW_SECONDS } = rule
  // not `max`, which takes the room of all at once
  const windows = new LRUCache<string, Window>({ maxSize: maxKeys, sizeCalculation: () => 1 })

  function present(key: string): Window | undefined {
    const window = windows.get(key)
    return window && window.endsAt > monotonic() ? window : undefined
  }
  function stateOf({ taken, endsAt }: Window, allowed: boolean): LimitState {
    return { allowed, limit, remaining: limit - taken, resetMs: Math.max(1, Math.ceil(endsAt - monotonic())) }
  }

  return {
    async take(key, points = 1) {
      const window = present(key) ?? { taken: 0, endsAt: monotonic() + windowSeconds * 1_000 }
      if (window.taken + points > limit) return stateOf(window, false)
      window.taken += points
      windows.set(key, window)
      return stateOf(window, true)
    },
    async look(key) {
      const window = present(key) ?? { taken: 0, endsAt: monotonic() + windowSeconds * 1_000 }
      return stateOf(window, window.taken < limit)
    },
    async giveBack(key, points) {
      const window = present(key)
      if (window) window.taken = Math.max(0, window.taken - points)
    },
    spent(key) {
      const window = present(key)
      return window && window.taken >= limit ? stateOf(window, false) : undefined
    },
  }
}
