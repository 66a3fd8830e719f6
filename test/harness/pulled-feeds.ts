/** Feeds as a test reads them: frame by frame, as slowly as it likes. A reader that does not pull is a slow one. */
import type { Database } from '../../src/database/database.ts'
import { createExecutionFeeds } from '../../src/live/execution-topic.ts'
import type { ExecutionFeedOrder, WhoMaySee } from '../../src/live/execution-topic.ts'
import { createFeeds } from '../../src/live/feeds.ts'
import type { Feeds, FeedsOptions } from '../../src/live/feeds.ts'
import type { Presentation } from '../../src/live/presentation.ts'
import type { Sink } from '../../src/live/member.ts'
import type { ExecutionFrame } from '../../src/live/frames.ts'
import type { MasksOf } from '../../src/engine/masks.ts'

export class Pulled<Rendered> implements Sink<Rendered>, AsyncIterableIterator<Rendered> {
  readonly #leave: () => void
  readonly #results: Rendered[] = []
  #over = false
  #error: unknown
  #gone = false
  #moved = Promise.withResolvers<void>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(follow: (sink: Sink<Rendered>) => () => void) {
    this.#leave = follow(this)
  }

  send(rendered: Rendered): void {
    this.#results.push(rendered)
    this.#move()
  }

  congested(): boolean {
    return this.#results.length > 0
  }

  async drained(): Promise<void> {
    while (this.congested() && !this.#gone) await this.#moved.promise
  }

  over(why: string): void {
    this.#over = why === 'FINISHED' || why === 'ACCESS_REVOKED'
    this.#move()
  }

  fail(error: unknown): void {
    this.#error = error
    this.#move()
  }

  next(): Promise<IteratorResult<Rendered, undefined>> {
    const result = this.#turn.then(() => this.#take())
    this.#turn = result.catch(() => undefined)
    return result
  }

  async return(): Promise<IteratorResult<Rendered, undefined>> {
    this.#gone = true
    this.#leave()
    this.#move()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async #take(): Promise<IteratorResult<Rendered, undefined>> {
    while (!this.congested() && !this.#over && !this.#gone && this.#error === undefined) await this.#moved.promise
    const value = this.#results.shift()
    this.#move()
    if (value !== undefined && !this.#gone) return { done: false, value }
    if (this.#error !== undefined) throw this.#error as Error
    return { done: true, value: undefined }
  }

  #move(): void {
    this.#moved.resolve()
    this.#moved = Promise.withResolvers()
  }
}

export type PulledFeed = Pulled<ExecutionFrame>

/** Frames as they are, without GraphQL. */
const AS_THEY_ARE: Presentation<ExecutionFrame> = {
  form: 'frames',
  render: async (frame) => ({ rendered: frame as ExecutionFrame, forViewer: false }),
}

export interface PulledFeeds extends Feeds<ExecutionFrame> {
  openExecutionFeed(order: ExecutionFeedOrder): Promise<PulledFeed>
}

export interface Settings extends FeedsOptions {
  readonly database: Database
  readonly masks: MasksOf
  readonly whoMaySee: WhoMaySee
}

export function pulledFeeds(settings: Settings): PulledFeeds {
  const feeds = createFeeds<ExecutionFrame>(settings)
  const open = createExecutionFeeds({ ...settings, feeds })
  return Object.defineProperties({} as PulledFeeds, {
    ...Object.getOwnPropertyDescriptors(feeds),
    openExecutionFeed: {
      value: async (order: ExecutionFeedOrder) => {
        const feed = await open(order)
        return new Pulled<ExecutionFrame>((sink) => feed.follow(AS_THEY_ARE, sink))
      },
    },
  })
}
