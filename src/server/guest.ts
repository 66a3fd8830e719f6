/** One open WebSocket: who is at its other end, and its messages, bounded both ways. */
import type { Duplex } from 'node:stream'
import type { WebSocket as ProtocolSocket } from 'graphql-ws'
import type { RawData, WebSocket } from 'ws'
import type { Origin } from '../audit/audit-entry.ts'
import type { Caller } from '../api/context.ts'
import { passes } from '../database/when-reachable.ts'
import { Fault } from '../errors.ts'
import type { Principal } from '../identity/principal.ts'
import { newUuid } from '../ids.ts'
import type { Logger } from '../log.ts'
import type { NoteRefusal } from './answer.ts'
import { drained, MAX_BUFFERED_BYTES } from './drained.ts'
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
  NOT_GREETED: 4408,
  INTERNAL: 4500,
} as const

/** Who is at the other end of one socket. */
export interface Guest {
  readonly socket: WebSocket
  /** beneath the socket: it tells when what was written has gone out */
  readonly stream: Duplex
  readonly origin: Origin
  /** its socket is closed */
  left: boolean
  /** aborted when it leaves: there while messages are answered, and so many are */
  gone: AbortController | undefined
  answering: number
  /** `connection_init` has come */
  greeted: boolean
  /** what came with connection_init, and whom it named when it was last checked */
  authorization: string | undefined
  principal: Principal | undefined
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
  return {
    ...{ socket, stream, origin, leavePlace, left: false, gone: undefined, answering: 0, greeted: false },
    ...{ authorization: undefined, principal: undefined, pingedAt: now, alive: true, second: 0, messages: 0 },
  }
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
    if (passes(error)) comeBackLater(guest)
    throw error
  }
}

/** Clients come back after this; they never do after an internal error, nor to an operation that ended with an `error` message. */
export function comeBackLater({ socket }: Pick<Guest, 'socket'>): void {
  socket.close(CLOSE.TRY_LATER, 'Try again later')
}

/** The server goes down: clients come back at once, elsewhere. */
export function closeForRestart({ socket }: Pick<Guest, 'socket'>): void {
  socket.close(CLOSE.DRAINING, 'Service restart')
}

export interface TransportOptions {
  readonly log: Logger
  readonly noteRefusal: NoteRefusal
}

/** ws as graphql-ws wants it. Nothing is read from a socket that is closing, and nothing it sends can fail in silence. */
export class Transport implements ProtocolSocket {
  readonly protocol: string
  readonly #guest: Guest
  readonly #options: TransportOptions

  constructor(guest: Guest, options: TransportOptions) {
    this.protocol = guest.socket.protocol
    this.#guest = guest
    this.#options = options
  }

  get #isOpen(): boolean {
    const { socket } = this.#guest
    return socket.readyState === socket.OPEN
  }

  close(code: number, reason: string): void {
    this.#guest.socket.close(code, reason)
  }

  /** Resolves when it is written. Whoever asks for many large answers and takes none is ended: a close frame would wait behind them. */
  async send(message: string): Promise<void> {
    if (this.#guest.socket.bufferedAmount > MAX_ANSWER_BYTES) return this.#guest.socket.terminate()
    return new Promise((resolve) => (this.#isOpen ? this.#guest.socket.send(withinLimit(message), () => resolve()) : resolve()))
  }

  onMessage(handle: (message: string) => Promise<void>): void {
    const { socket } = this.#guest
    socket.on('message', (data: RawData, isBinary: boolean) => {
      if (!this.#isOpen) return
      void this.#holdUp()
      if (isBinary) return socket.close(CLOSE.NOT_TEXT, 'Messages are text')
      if (tooMany(this.#guest)) {
        this.#options.noteRefusal(callerOf(this.#guest), 'RATE_LIMITED')
        return socket.close(CLOSE.TOO_MANY_MESSAGES, 'Too many messages')
      }
      handle((data as Buffer).toString()).catch((error: unknown) => this.#failed(error))
    })
  }

  /** Nothing more is heard from whoever does not take what was sent: no answers pile up, and its pongs do not keep it alive. */
  async #holdUp(): Promise<void> {
    const { socket, stream } = this.#guest
    if (socket.isPaused || socket.bufferedAmount <= MAX_BUFFERED_BYTES) return
    socket.pause()
    await drained(stream)
    socket.resume()
  }

  #failed(error: unknown): void {
    const { socket } = this.#guest
    if (!this.#isOpen) return
    if (isForClients(error)) return socket.close(CLOSE.BAD_MESSAGE, 'Invalid message received')
    this.#options.log.error({ err: error }, 'a message could not be handled')
    if (passes(error)) comeBackLater(this.#guest)
    else socket.close(CLOSE.INTERNAL, 'Internal error')
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
export function callerOf(guest: Guest): Caller {
  const { principal, origin } = guest
  const gone = (guest.gone ??= new AbortController())
  if (guest.left) gone.abort()
  return { principal, origin, signal: gone.signal, requestId: newUuid() }
}

/** Answers a message of this guest. Whoever only follows has nobody who waits for it to leave. */
export async function answerTo<Answer>(guest: Guest, answer: (caller: Caller) => Promise<Answer>): Promise<Answer> {
  guest.answering += 1
  try {
    return await answer(callerOf(guest))
  } finally {
    guest.answering -= 1
    if (guest.answering === 0) guest.gone = undefined
  }
}

/** It has left: what is still being answered is of no use. */
export function leave(guest: Guest): void {
  guest.left = true
  guest.gone?.abort()
  guest.leavePlace()
}
