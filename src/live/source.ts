/** One topic as this process follows it: one listener on the bus, and one read at a time for all groups at the same place. */
import type { Bus } from '../fleet/bus.ts'
import type { Frame, Page, ReadOptions, Topic } from './topic.ts'

/** A group, as its source sees it. */
export interface SourceMember {
  hear(payload: string | undefined): void
  /** The newest cursor is this (undefined: the topic is gone). */
  saw(newest: string | undefined): void
}

export class Source<F extends Frame = Frame> {
  readonly topic: Topic<F>
  readonly #members = new Set<SourceMember>()
  readonly #reads = new Map<string, { generation: number; page: Promise<Page<F> | undefined> }>()
  readonly #onDeserted: () => void
  readonly #unlisten: () => void
  #generation = 0

  /** `onDeserted` is called when the last group has left; the source is not used again. */
  constructor(topic: Topic<F>, bus: Bus, onDeserted: () => void) {
    this.topic = topic
    this.#onDeserted = onDeserted
    this.#unlisten = bus.listen(topic.bell, (payload) => {
      this.#generation += 1
      for (const member of this.#members) member.hear(payload)
    })
  }

  join(member: SourceMember): void {
    this.#members.add(member)
  }

  leave(member: SourceMember): void {
    if (!this.#members.delete(member) || this.#members.size > 0) return
    this.#unlisten()
    this.#onDeserted()
  }

  saw(newest: string | undefined): void {
    this.#generation += 1
    for (const member of this.#members) member.saw(newest)
  }

  /**
   * Whoever is at one place shares a read that is under way, but only one that began after the last ring: an older one may not see
   * the commit that rang. Frames that come out of one read are the same objects for all.
   */
  read(after: string | undefined, options: ReadOptions): Promise<Page<F> | undefined> {
    const key = `${after} ${options.upTo} ${options.conflate} ${options.anew}`
    const shared = this.#reads.get(key)
    if (shared?.generation === this.#generation) return shared.page
    const page = this.topic.read(after, options)
    const read = { generation: this.#generation, page }
    this.#reads.set(key, read)
    const forget = () => {
      if (this.#reads.get(key) === read) this.#reads.delete(key)
    }
    page.then(forget, forget)
    return page
  }
}
