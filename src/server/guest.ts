/** One open WebSocket: who is at its other end, and its messages, bounded both ways. */
import type { Duplex } from 'node:stream'
import type { makeServer } from 'graphql-ws'
import type { RawData, WebSocket } from 'ws'
import type { Origin } from '../audit/audit-entry.ts'
import type { Caller } from '../api/context.ts'
import { Fault } from '../errors.ts'
import type { Principal } from '../identity/principal.ts'
import { newUuid } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { NoteRefusal } from './answer.ts'
import { MAX_ANSWER_BYTES } from './follow.ts'

const MAX_MESSAGES_A_SECOND = 200

/** graphql-ws clients come back after 4403 (with a new token), 1012 and 1013; they take 4401, 4500 and the other 1xxx as final. */
export const CLOSE = {
  BAD_MESSAGE: 4400,
  UNAUTHENTICATED: 4401,
  EXPIRED: 4403,
  DRAINING: 1012,
  TOO_MANY_MESSAGES: 1008,
  NOT_TEXT: 1003,
  TRY_LATER: 1013,
  INTERNAL: 4500,
} as const

/** Who is at the other end of one socket. */
export interface Guest {
  readonly socket: WebSocket
  /** beneath the socket: it tells when what was written has gone out */
  readonly stream: Duplex
  readonly origin: Origin
  readonly gone: AbortController
  /** what came with connection_init, and whom it named when it was last checked */
  authorization?: string
  principal?: Principal
  /** gives back its place among the sockets of its address, or of its principal */
  leavePlace: () => void
  pingedAt: number
  alive: boolean
  /** messages in the present second */
  second: number
  messages: number
}

export function openGuest(socket: WebSocket, stream: Duplex, origin: Origin, leavePlace: () => void): Guest {
  const now = Date.now()
  return { socket, stream, origin, leavePlace, gone: new AbortController(), pingedAt: now, alive: true, second: 0, messages: 0 }
}

/** The principal as of now, as `find` finds it. Ends the socket when its token is over or too much was asked, and throws. */
export async function renewPrincipal(
  guest: Guest,
  find: (authorization: string | undefined) => Promise<Principal | undefined>,
): Promise<Principal> {
  try {
    const principal = await find(guest.authorization)
    if (!principal) throw new Fault('UNAUTHENTICATED', undefined, { extensions: { reason: 'INVALID' } })
    return (guest.principal = principal)
  } catch (error) {
    if (error instanceof Fault && error.code === 'UNAUTHENTICATED') {
      const expired = error.extensions['reason'] === 'EXPIRED'
      guest.socket.close(expired ? CLOSE.EXPIRED : CLOSE.UNAUTHENTICATED, expired ? 'Token expired' : 'Unauthenticated')
    }
    if (error instanceof Fault && error.code === 'RATE_LIMITED') guest.socket.close(CLOSE.TRY_LATER, 'Too many requests')
    throw error
  }
}

/** ws as graphql-ws wants it. Nothing is read from a socket that is closing, and nothing it sends can fail in silence. */
export function transportOf(
  guest: Guest,
  { log, noteRefusal }: { log: Logger; noteRefusal: NoteRefusal },
): Parameters<ReturnType<typeof makeServer<never, Guest>>['opened']>[0] {
  const { socket } = guest
  const isOpen = () => socket.readyState === socket.OPEN
  return {
    protocol: socket.protocol,
    close: (code, reason) => socket.close(code, reason),
    // resolves when it is written: a slow reader holds back its own feeds and nothing piles up
    send: (message) => new Promise((resolve) => (isOpen() ? socket.send(withinLimit(message), () => resolve()) : resolve())),
    onMessage: (handle) =>
      socket.on('message', (data: RawData, isBinary: boolean) => {
        if (!isOpen()) return
        if (isBinary) return socket.close(CLOSE.NOT_TEXT, 'Messages are text')
        if (tooMany(guest)) {
          noteRefusal(callerOf(guest), 'RATE_LIMITED')
          return socket.close(CLOSE.TOO_MANY_MESSAGES, 'Too many messages')
        }
        handle((data as Buffer).toString()).catch((error: unknown) => {
          if (!isOpen()) return
          if (isForClients(error)) return socket.close(CLOSE.BAD_MESSAGE, 'Invalid message received')
          log.error({ err: error }, 'a message could not be handled')
          if (error instanceof Fault && error.code === 'UNAVAILABLE') socket.close(CLOSE.TRY_LATER, 'Try again later')
          else socket.close(CLOSE.INTERNAL, 'Internal error')
        })
      }),
  }
}

/** graphql-ws throws for messages that only servers send. */
const isForClients = (error: unknown): boolean => error instanceof Error && error.message.startsWith('Unexpected message of type')

function tooMany(guest: Guest): boolean {
  const second = Math.floor(Date.now() / 1_000)
  guest.messages = guest.second === second ? guest.messages + 1 : 1
  guest.second = second
  return guest.messages > MAX_MESSAGES_A_SECOND
}

/** A message over the limit of answers becomes the error that says so. */
function withinLimit(message: string): string {
  if (Buffer.byteLength(message) <= MAX_ANSWER_BYTES) return message
  const { id } = JSON.parse(message) as { id: string }
  const { message: text, extensions } = new Fault('RESPONSE_TOO_LARGE')
  return JSON.stringify({ id, type: 'error', payload: [{ message: text, extensions }] })
}

/** Each message is a request of its own. */
export const callerOf = ({ principal, origin, gone }: Guest): Caller => ({
  principal,
  origin,
  signal: gone.signal,
  requestId: newUuid(),
})
