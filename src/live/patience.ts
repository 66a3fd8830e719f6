/** How long failing reads are borne: the database may be restarting. */
import { Fault } from '../errors.ts'

const PATIENCE_MS = 30_000

export class Patience {
  #failingSince: number | undefined
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  get failing(): boolean {
    return this.#failingSince !== undefined
  }

  worked(): void {
    this.#failingSince = undefined
  }

  /** Whether this failure is the last one. A refusal (Fault) is final at once, unless nobody can tell now. */
  isOver(error: unknown): boolean {
    this.#failingSince ??= this.#now()
    if (error instanceof Fault && error.code !== 'UNAVAILABLE') return true
    return this.#now() - this.#failingSince >= PATIENCE_MS
  }
}
