/** How many things of one kind a caller may hold at a time. Callers that hold none take no memory. */
export class Places {
  readonly #max: number
  readonly #taken = new Map<string, number>()

  /** `max` of each key */
  constructor(max: number) {
    this.#max = max
  }

  isFull(key: string): boolean {
    return (this.#taken.get(key) ?? 0) >= this.#max
  }

  /** Takes a place; what it returns gives it back, once. Undefined when all are taken. */
  take(key: string): (() => void) | undefined {
    if (this.isFull(key)) return undefined
    this.#taken.set(key, (this.#taken.get(key) ?? 0) + 1)
    let held = true
    return () => {
      if (!held) return
      held = false
      const left = this.#taken.get(key)! - 1
      if (left > 0) this.#taken.set(key, left)
      else this.#taken.delete(key)
    }
  }
}
