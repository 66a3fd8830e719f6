/** One timer for many deadlines: adding and removing one costs a Set operation, for thousands of calls a second that never come due. */

export interface Due {
  /** on the clock of `performance.now()`; may change only while it is not in the timer */
  dueAt: number
  /** Called once, when it is no longer in the timer. */
  due(): void
}

/** Deadlines closer than this come due together. */
const COALESCE_MS = 5
/** The longest that `setTimeout` can wait. */
const LONGEST_MS = 2 ** 31 - 1

export class DueTimer {
  readonly #items = new Set<Due>()
  #timer: NodeJS.Timeout | undefined
  #armedFor = Infinity

  add(item: Due): void {
    this.#items.add(item)
    if (item.dueAt < this.#armedFor) this.#arm(item.dueAt)
  }

  /** The timer is not moved: firing early once in a deadline's length is cheaper than looking for the next one each time. */
  delete(item: Due): void {
    this.#items.delete(item)
  }

  #arm(at: number): void {
    clearTimeout(this.#timer)
    this.#armedFor = at
    const delay = Math.min(LONGEST_MS, Math.max(COALESCE_MS, Math.ceil(at - performance.now())))
    this.#timer = setTimeout(() => this.#fire(), delay).unref()
  }

  #fire(): void {
    this.#armedFor = Infinity
    const now = performance.now()
    const due = [...this.#items].filter((item) => item.dueAt <= now).sort((a, b) => a.dueAt - b.dueAt)
    for (const item of due) if (this.#items.delete(item)) item.due()
    let next = Infinity
    for (const item of this.#items) next = Math.min(next, item.dueAt)
    if (next < this.#armedFor) this.#arm(next)
  }
}
