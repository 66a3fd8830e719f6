/**
 * Dispatch: how an execution that is ready finds a worker. An offer is a doorbell, never the work: it carries ids, and what decides is
 * the claim in PostgreSQL. Offers may be lost, doubled or late: workers look by themselves too, which costs a lost one some seconds.
 */

/** Ready to run, and nobody owns it. */
export interface Offer {
  pool: string
  executionId: string
  /** of the execution: the same offer twice is one */
  version: number
  /** -100 to 100; the higher is taken first, where offers wait in an order */
  priority: number
}

/** A worker, as dispatch sees it. */
export interface Taker {
  /** how many executions it could hold besides those it has; 0: it takes nothing now */
  room(): number
  /** Claims what of these is still to be had: at most `room()` of them. Settles when that is decided; never rejects. */
  take(executionIds: readonly string[]): Promise<void>
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
