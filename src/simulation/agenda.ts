/** What will happen when, on the virtual clock: in the order of its time, then in the order in which it was put there. */
import type { Input } from '../engine/decide/input.ts'

interface Entry {
  readonly at: number
  readonly input: Input
}

export class Agenda {
  /** the last comes first */
  readonly #entries: Entry[] = []

  /** When the next one comes; Infinity: none does. */
  get next(): number {
    return this.#entries.at(-1)?.at ?? Number.POSITIVE_INFINITY
  }

  add(at: number, input: Input): void {
    let [low, high] = [0, this.#entries.length]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#entries[middle]!.at > at) low = middle + 1
      else high = middle
    }
    this.#entries.splice(low, 0, { at, input })
  }

  /** Takes what comes until `now`. */
  takeUntil(now: number): Input[] {
    const taken: Input[] = []
    while (this.next <= now) taken.push(this.#entries.pop()!.input)
    return taken
  }

  /** What does not come any more; at most one. */
  drop(isIt: (input: Input) => boolean): void {
    const at = this.#entries.findIndex(({ input }) => isIt(input))
    if (at >= 0) this.#entries.splice(at, 1)
  }
}
