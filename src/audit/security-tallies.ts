/** What this process has counted and not written yet: bounded, however many subjects are invented (A2). */
import type { SecurityConfig } from '../config/config-types.ts'
import { EVERYBODY, ruleOf, thresholdOf } from './security-kinds.ts'
import type { SecurityKind, Subject } from './security-kinds.ts'

/** Of one kind in one window. */
const MAX_SUBJECTS = 10_000
/** Below this share of its threshold a count stays in this process: most subjects cost the database nothing. */
const WORTH_WRITING = 0.1

export interface Tally {
  readonly kind: SecurityKind
  readonly subject: Subject
  /** ms since 1970 */
  readonly windowAt: number
  /** not written yet */
  count: number
  /** in this window, by this process */
  total: number
  readonly firstAt: number
  lastAt: number
}

/** The subjects of one kind in the present window. */
interface Counted {
  readonly tallies: Map<string, Tally>
  /** nobody new is counted by himself any more in this window: half of the room is worth writing */
  full: boolean
}

export class SecurityTallies {
  readonly #limits: SecurityConfig
  readonly #maxSubjects: number
  #windowAt = 0
  #byKind = new Map<SecurityKind, Counted>()
  /** worth writing, of this window and of those before */
  readonly #due = new Set<Tally>()

  constructor(limits: SecurityConfig, maxSubjects = MAX_SUBJECTS) {
    this.#limits = limits
    this.#maxSubjects = maxSubjects
  }

  /** Once for each of `subjects`; no times are none. `now`: ms since 1970, database time. */
  count(kind: SecurityKind, subjects: readonly Subject[], times: number, now: number): void {
    if (times <= 0) return
    const windowAt = Math.floor(now / this.#limits.windowMs) * this.#limits.windowMs
    if (windowAt > this.#windowAt) {
      this.#windowAt = windowAt
      this.#byKind = new Map()
    }
    for (const subject of subjects) this.#add(kind, subject, times, now)
    if (ruleOf(kind).together) this.#add(kind, EVERYBODY, times, now)
  }

  #add(kind: SecurityKind, subject: Subject, times: number, now: number): void {
    let counted = this.#byKind.get(kind)
    if (!counted) this.#byKind.set(kind, (counted = { tallies: new Map(), full: false }))
    const key = keyOf(subject)
    let tally = counted.tallies.get(key)
    if (!tally) {
      if (subject !== EVERYBODY && !this.#hasRoom(counted)) return
      tally = {
        kind,
        subject: { kind: subject.kind, id: subject.id },
        windowAt: this.#windowAt,
        count: 0,
        total: 0,
        firstAt: now,
        lastAt: now,
      }
      counted.tallies.set(key, tally)
    }
    tally.count += times
    tally.total += times
    tally.lastAt = now
    if (this.#isWorth(tally)) this.#due.add(tally)
  }

  /** Forgets who came to nothing, so that inventing subjects hides nobody who comes after; the busy ones among them are back at once. */
  #hasRoom(counted: Counted): boolean {
    const { tallies } = counted
    if (counted.full || tallies.size < this.#maxSubjects) return !counted.full
    for (const [key, tally] of tallies) if (!this.#isWorth(tally)) tallies.delete(key)
    counted.full = tallies.size > this.#maxSubjects / 2
    return !counted.full
  }

  #isWorth({ kind, subject, total }: Tally): boolean {
    return total >= thresholdOf(kind, subject, this.#limits) * WORTH_WRITING
  }

  /** What is to be written, each once, at most `limit`. What could not be written comes back by `putBack`. */
  take(limit: number): Tally[] {
    const taken: Tally[] = []
    for (const tally of this.#due) {
      if (taken.length >= limit) break
      this.#due.delete(tally)
      taken.push({ ...tally })
      tally.count = 0
    }
    return taken
  }

  /** What could not be written is added to what was counted since. */
  putBack(taken: readonly Tally[]): void {
    for (const tally of taken) {
      const known = this.#byKind.get(tally.kind)?.tallies.get(keyOf(tally.subject))
      if (known?.windowAt === tally.windowAt) {
        known.count += tally.count
        this.#due.add(known)
      } else if (this.#due.size < this.#maxSubjects) this.#due.add(tally)
    }
  }

  /** subjects that are remembered now */
  get size(): number {
    let size = this.#due.size
    for (const { tallies } of this.#byKind.values()) size += tallies.size
    return size
  }
}

const keyOf = ({ kind, id }: Subject): string => `${kind} ${id}`
