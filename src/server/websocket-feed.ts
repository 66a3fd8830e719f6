/** A feed on a WebSocket: its results go straight to the socket, each text as it is for everybody, with the id of the operation before it. */
import type { Duplex } from 'node:stream'
import type { ExecutionResult } from 'graphql'
import type { WebSocket } from 'ws'
import type { Sink } from '../live/member.ts'
import { drained, MAX_BUFFERED_BYTES } from './drained.ts'
import type { FeedAnswer } from './follow.ts'

export interface SocketOfFeed {
  readonly socket: WebSocket
  /** beneath it */
  readonly stream: Duplex
}

/**
 * For graphql-ws, which keeps ids, errors and `complete`: an iterator that yields nothing, ends when the feed is over and leaves
 * it when it is returned.
 */
export function followOnSocket(
  answer: FeedAnswer,
  id: string,
  { socket, stream }: SocketOfFeed,
  present: (thrown: unknown) => Error,
): AsyncIterableIterator<ExecutionResult> {
  const over = Promise.withResolvers<IteratorResult<ExecutionResult>>()
  const end: IteratorResult<ExecutionResult> = { done: true, value: undefined }
  const head = `{"id":${JSON.stringify(id)},"type":"next","payload":`
  const sink: Sink<string> = {
    send(text) {
      if (socket.readyState === socket.OPEN) socket.send(`${head}${text}}`)
    },
    // what nobody will take holds nobody up: waiting for it would never end
    congested: () => !stream.destroyed && socket.bufferedAmount > MAX_BUFFERED_BYTES,
    drained: () => drained(stream),
    over(why) {
      // after the others the socket is closed: a client whose subscription completed would not come back
      if (why === 'FINISHED' || why === 'ACCESS_REVOKED') over.resolve(end)
    },
    fail: (error) => over.reject(present(error)),
  }
  const leave = answer.follow(sink)
  return {
    next: () => over.promise,
    async return() {
      leave()
      over.resolve(end)
      return end
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
