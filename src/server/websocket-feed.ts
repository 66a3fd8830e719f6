/** A feed on a WebSocket: its results go straight to the socket, each text as it is for everybody, with the id of the operation before it. */
import type { ExecutionResult } from 'graphql'
import type { Sink } from '../live/member.ts'
import { drained, MAX_BUFFERED_BYTES } from './drained.ts'
import type { FeedAnswer } from './follow.ts'
import { passes } from '../database/when-reachable.ts'
import { closeForRestart, comeBackLater } from './guest.ts'
import type { Guest } from './guest.ts'

type SocketOfFeed = Pick<Guest, 'socket' | 'stream'>

/**
 * For graphql-ws, which keeps ids, errors and `complete`: an iterator that yields nothing, ends when the feed is over and leaves
 * it when it is returned.
 */
export const followOnSocket = (
  answer: FeedAnswer,
  id: string,
  guest: SocketOfFeed,
  present: (thrown: unknown) => Error,
): AsyncIterableIterator<ExecutionResult> => new SocketFeed(answer, id, guest, present)

const END: IteratorResult<ExecutionResult> = { done: true, value: undefined }

/** One object, and no closure that can be done without: there is one for each of thousands of sockets. */
class SocketFeed implements Sink<string>, AsyncIterableIterator<ExecutionResult> {
  /** as JSON */
  readonly #id: string
  readonly #guest: SocketOfFeed
  readonly #present: (thrown: unknown) => Error
  readonly #over = Promise.withResolvers<IteratorResult<ExecutionResult>>()
  readonly #leave: () => void

  constructor(answer: FeedAnswer, id: string, guest: SocketOfFeed, present: (thrown: unknown) => Error) {
    this.#id = JSON.stringify(id)
    this.#guest = guest
    this.#present = present
    this.#leave = answer.follow(this)
  }

  send(text: string): void {
    const { socket } = this.#guest
    if (socket.readyState === socket.OPEN) socket.send(`{"id":${this.#id},"type":"next","payload":${text}}`)
  }

  /** What nobody will take holds nobody up: waiting for it would never end. */
  congested(): boolean {
    return !this.#guest.stream.destroyed && this.#guest.socket.bufferedAmount > MAX_BUFFERED_BYTES
  }

  drained(): Promise<void> {
    return drained(this.#guest.stream)
  }

  /** After the others the socket is closed: a client whose subscription completed would not come back. */
  over(why: Parameters<Sink<string>['over']>[0]): void {
    if (why === 'FINISHED' || why === 'ACCESS_REVOKED') this.#over.resolve(END)
  }

  get connection(): object {
    return this.#guest.socket
  }

  disconnect(): void {
    closeForRestart(this.#guest)
  }

  fail(error: unknown): void {
    if (passes(error)) return comeBackLater(this.#guest)
    this.#over.reject(this.#present(error))
  }

  next(): Promise<IteratorResult<ExecutionResult>> {
    return this.#over.promise
  }

  async return(): Promise<IteratorResult<ExecutionResult>> {
    this.#leave()
    this.#over.resolve(END)
    return END
  }

  [Symbol.asyncIterator](): this {
    return this
  }
}
