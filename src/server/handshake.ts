/**
 * The handshake of WebSockets. Clients take one that is refused with an HTTP status as final (graphql-ws, and browsers say no more than
 * that it failed): whoever may come again is let in, told so by the close code, and sees nothing else.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { handleProtocols } from 'graphql-ws'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { answerRaw } from './raw-answer.ts'

/** Large inputs start over HTTP. */
export const MAX_MESSAGE_BYTES = 64 * 1_024
/** How long the other end of a socket that closes may take to say so too. */
export const CLOSING_MS = 2_000

/** The arguments of Node's `upgrade` event. */
export type Upgrade = readonly [request: IncomingMessage, socket: Duplex, head: Buffer]

export interface Handshake {
  /** Answers it; a malformed one with 400. */
  shake(upgrade: Upgrade, opened: (socket: WebSocket) => void): void
  /** Opens the socket only to close it: nothing that it sends is read. */
  turnAway(upgrade: Upgrade, code: number, reason: string): void
}

export function createHandshake(): Handshake {
  const sockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: MAX_MESSAGE_BYTES,
    perMessageDeflate: false,
    handleProtocols,
  })
  sockets.on('wsClientError', (error, socket) => answerRaw(socket, 'BAD_REQUEST', error.message))

  function shake([request, socket, head]: Upgrade, opened: (socket: WebSocket) => void): void {
    socket.on('error', destroyed)
    sockets.handleUpgrade(request, socket, head, opened)
  }

  return {
    shake,
    turnAway(upgrade, code, reason) {
      shake(upgrade, (socket) => {
        const patience = setTimeout(() => socket.terminate(), CLOSING_MS)
        // ws ends it by itself after an error
        socket.on('error', () => undefined).once('close', () => clearTimeout(patience))
        socket.close(code, reason)
      })
    },
  }
}

function destroyed(this: Duplex): void {
  this.destroy()
}
