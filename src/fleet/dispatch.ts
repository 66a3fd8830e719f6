/**
 * Dispatch: how what is ready finds a worker, an execution or a step of a pool. An offer is a doorbell, never the work: it carries ids, and
 * what decides is the claim in PostgreSQL. Offers may be lost, doubled or late: workers look by themselves too, which costs a lost one some
 * seconds.
 */

/** Nobody owns it, and it is ready to run or was told something. */
export interface Offer {
  pool: string
  executionId: string
  /** of the execution: the same offer twice is one */
  version: number
  /** -100 to 100; the higher is taken first, where offers wait in an order */
  priority: number
  /** the path of one of its steps, which waits for this pool, whoever has the execution; absent: the execution itself */
  step?: string
}

/** A worker, as dispatch sees it. */
export interface Taker {
  /** how many executions it could hold besides those it has; 0: it takes nothing now */
  room(): number
  /** Claims what of these is still to be had: at most `room()` of them. Settles when that is decided; never rejects. */
  take(executionIds: readonly string[]): Promise<void>
  /** false: a step of a pool that it took would wait here, whoever else could begin it */
  hasRoomForSteps(): boolean
  /** The same with steps that wait for the pool: at most so many, whichever have their turn. How many it left, since it has no room for them. */
  takeSteps(pool: string, most: number): Promise<number>
  /** Something is ready somewhere: it looks for itself, soon. */
  look(): void
}

export interface Serving {
  /** To be called when there is room again after there was none. */
  wake(): void
  /** Nothing is taken from here on; resolves when what was being taken is decided. */
  stop(): Promise<void>
}

export interface Dispatch {
  /** Tells a worker of the pool. Returns at once and never throws. */
  offer(offer: Offer): void
  /** What is offered to these pools goes to `taker`, and to others who serve them. */
  serve(pools: readonly string[], taker: Taker): Serving
  /** How seldom a worker may look for ready executions by itself: what a lost offer costs, ms. 0 = whenever it looks for what is due. */
  readonly lookEveryMs: number
  /** Offers after it do nothing. */
  close(): Promise<void>
}
