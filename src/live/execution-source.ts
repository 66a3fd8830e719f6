/** One execution as this process follows it: one listener on the bus and one read at a time for all feeds at the same place. */
import type { ExecutionPage } from './frames.ts'

/** Reads the execution and at most `limit` events after `after` in one statement; undefined when there is no such execution. */
export type ReadAfter = (executionId: string, after: number | undefined, limit: number) => Promise<ExecutionPage | undefined>

/** A feed, as its source sees it. */
export interface SourceMember {
  /** Events up to `seq` may be there (Infinity: not known how many). */
  hear(seq: number): void
  /** The newest seq is this (undefined: the execution is gone). */
  saw(seq: number | undefined): void
}

export class ExecutionSource {
  readonly executionId: string
  readonly #members = new Set<SourceMember>()
  readonly #reads = new Map<string, { generation: number; page: Promise<ExecutionPage | undefined> }>()
  readonly #readAfter: ReadAfter
  readonly #onDeserted: () => void
  #generation = 0

  /** `onDeserted` is called when the last feed has left; the source is not used again. */
  constructor(executionId: string, readAfter: ReadAfter, onDeserted: () => void) {
    this.executionId = executionId
    this.#readAfter = readAfter
    this.#onDeserted = onDeserted
  }

  join(member: SourceMember): void {
    this.#members.add(member)
  }

  leave(member: SourceMember): void {
    if (this.#members.delete(member) && this.#members.size === 0) this.#onDeserted()
  }

  hear(seq: number): void {
    this.#generation += 1
    for (const member of this.#members) member.hear(seq)
  }

  saw(seq: number | undefined): void {
    this.#generation += 1
    for (const member of this.#members) member.saw(seq)
  }

  /**
   * Feeds at one place share a read that is under way, but only one that began after the last ring: an older one may not see
   * the commit that rang.
   */
  readAfter(after: number | undefined, limit: number): Promise<ExecutionPage | undefined> {
    const key = `${after}:${limit}`
    const shared = this.#reads.get(key)
    if (shared?.generation === this.#generation) return shared.page
    const page = this.#readAfter(this.executionId, after, limit)
    const read = { generation: this.#generation, page }
    this.#reads.set(key, read)
    const forget = () => {
      if (this.#reads.get(key) === read) this.#reads.delete(key)
    }
    page.then(forget, forget)
    return page
  }
}
