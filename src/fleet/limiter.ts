/** Limits: how much of something one key may do in a window of time. One process counts in memory, a fleet in Redis. */

export interface LimitRule {
  /** of what is limited, a word; limits of different names never meet */
  readonly name: string
  /** that a key may take in one window, at least 1 */
  readonly points: number
  /** whole seconds; a minute unless given */
  readonly windowSeconds?: number
  /** that this process remembers at once; beyond, the one that was silent for longest is forgotten */
  readonly keys?: number
}

/** How a key stands after it was asked about. */
export interface LimitState {
  /** whether the points were taken; what is refused takes none */
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  /** until the key's window ends and all its points come back, ms, at least 1 */
  readonly resetMs: number
}

/**
 * A key's window begins with its first point and has a fixed length. Takes are atomic: of simultaneous ones exactly as many are
 * allowed as there are points. None of these rejects.
 */
export interface Limiter {
  /** Takes `points` (1), all or none. */
  take(key: string, points?: number): Promise<LimitState>
  /** How a key stands; takes nothing, and begins no window. */
  look(key: string): Promise<LimitState>
  /** Returns points that were taken, if their window has not ended. */
  giveBack(key: string, points: number): Promise<void>
  /** The state of a key that has nothing left, as far as this process knows without asking; undefined = it may have something. */
  spent(key: string): LimitState | undefined
}

/** Makes the counter of one limit; to be called once for each. */
export type CreateLimiter = (rule: LimitRule) => Limiter

export const WINDOW_SECONDS = 60
