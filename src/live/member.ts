/** One follower: where it is, who it is, and the way to it. */
import type { Principal } from '../identity/principal.ts'
import type { CloseReason } from './frames.ts'

/** The way to one follower: of a socket, of a response. None of it throws. */
export interface Sink<Rendered> {
  /** `cursor`: of the frame */
  send(rendered: Rendered, cursor: string): void
  /** what was sent before waits to be taken: nothing more should come */
  congested(): boolean
  /** resolves when it is not congested any more, or gone */
  drained(): Promise<void>
  /** All that there is was sent; more may follow. */
  caughtUp?(): void
  /** Nothing follows. Only FINISHED and ACCESS_REVOKED complete: a client whose subscription completed never comes back. */
  over(why: 'FINISHED' | CloseReason): void
  /** The last word: a fault. */
  fail(error: unknown): void
  /** the same for all that share one, if they do: when the server goes down they are told together */
  readonly connection?: object
  /** Ends it, when all that share it were told that the server goes down. */
  disconnect?(): void
}

export class Member<Rendered> {
  readonly sink: Sink<Rendered>
  principal: Principal
  /** everything up to here was sent; undefined: nothing, it wants a snapshot */
  cursor: string | undefined
  /** a snapshot takes the place of what it was shown, and then it goes on where it was */
  anew = false
  /** its cursor is the group's, and it gets what the group gets */
  live = false
  gone = false
  /** it is told why it ends: nothing else goes out */
  closing = false
  /** which of its catchings-up is the one that counts */
  chase = 0
  #doubted: PromiseWithResolvers<void> | undefined

  constructor(sink: Sink<Rendered>, principal: Principal, cursor: string | undefined) {
    this.sink = sink
    this.principal = principal
    this.cursor = cursor
  }

  get doubted(): boolean {
    return this.#doubted !== undefined
  }

  /** Access may have been lost: nothing goes out until it is confirmed. */
  doubt(): void {
    this.#doubted ??= Promise.withResolvers()
  }

  confirm(principal: Principal): void {
    this.principal = principal
    this.settle()
  }

  /** Whoever waits for it goes on, and sees what has become of it. */
  settle(): void {
    this.#doubted?.resolve()
    this.#doubted = undefined
  }

  /** Resolves when something may be sent, or when it is gone. */
  async ready(): Promise<void> {
    while (!this.gone && (this.doubted || this.sink.congested())) {
      await (this.#doubted?.promise ?? this.sink.drained())
    }
  }
}
