/** The WebSocket door: graphql-transport-ws over ws. Who may open a socket, and when it ends. https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import type { Origin } from '../audit/audit-entry.ts'
import type { FaultCode } from '../errors.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { AuthChanges } from '../identity/auth-changes.ts'
import type { RenewPrincipals } from '../identity/authenticate.ts'
import { subjectsOf } from '../identity/principal.ts'
import type { Principal } from '../identity/principal.ts'
import { recheckOnChange } from '../identity/recheck.ts'
import { requestIdOf } from './caller.ts'
import type { OriginOf } from './caller.ts'
import { CLOSE, closeForRestart, leave, openGuest, Transport } from './guest.ts'
import type { Guest } from './guest.ts'
import { CLOSING_MS, createHandshake } from './handshake.ts'
import type { AllowsOrigin } from './origins.ts'
import { Places } from './places.ts'
import { answerRaw } from './raw-answer.ts'
import { createProtocol } from './websocket-protocol.ts'
import type { ProtocolOptions } from './websocket-protocol.ts'

/** Half of the second in which an expired token must end its socket. */
const SWEEP_MS = 500
/** A socket that has not answered the last ping by the next one is gone. */
const PING_EVERY_MS = 15_000
/** From opening a socket to its `connection_init`, to the next sweep. */
const GREET_WITHIN_MS = 4_000

export interface WebSocketDoorOptions extends ProtocolOptions {
  readonly allowsOrigin: AllowsOrigin
  readonly originOf: OriginOf
  readonly onAuthChange: AuthChanges['onAuthChange']
  readonly renewPrincipals: RenewPrincipals
  /** sockets of one address that have not said yet who they are */
  readonly maxUnnamed: number
}

export interface WebSocketDoor {
  /** The `upgrade` event of the HTTP server. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  /** Ends sockets whose token is over, and asks silent ones whether they live: one loop for all, twice a second. */
  sweep(): Promise<void>
  sockets(): number
  /** Closes new sockets with 1012; those that are open stay. */
  shut(): void
  /** Closes every socket with 1012, which makes clients come back elsewhere; new ones too. */
  drain(): void
  /** Drains, waits for the other ends to close (at most 2 s), ends the rest. */
  close(): Promise<void>
}

export function createWebSocketDoor(options: WebSocketDoorOptions): WebSocketDoor {
  const { allowsOrigin, originOf, onAuthChange, renewPrincipals, limits, noteRefusal, log } = options
  const guests = new Set<Guest>()
  const places = new Places(options.maxUnnamed)
  const protocol = createProtocol(options)
  const { shake, turnAway } = createHandshake()
  let draining = false

  function admitGuest(socket: WebSocket, stream: Duplex, origin: Origin): void {
    const guest = openGuest(socket, stream, origin, places.take(addressKey(origin.ip))!)
    guests.add(guest)
    const closed = protocol.opened(new Transport(guest, options), guest)
    socket.on('pong', () => (guest.alive = true))
    // ws closes the socket itself after an error (a message that is too large: 1009)
    socket.on('error', (error) => log.debug({ err: error }, 'socket failed'))
    socket.on('close', (code, reason) => {
      guests.delete(guest)
      leave(guest)
      // one that never said who it is counts like a request that does not; a wrong token was counted when it came
      if (guest.authorization === undefined && !draining) void limits.take({ origin })
      closed(code, String(reason)).catch((error: unknown) => log.error({ err: error }, 'socket could not be closed'))
    })
  }

  const rechecks = recheckOnChange<Guest, Principal | undefined>({
    onAuthChange,
    members: guests,
    subjectsOf: ({ principal }) => (principal ? subjectsOf(principal) : []),
    doubt: () => undefined,
    ask: (doubted) => renewPrincipals(doubted.map(({ principal }) => principal!)),
    settle(guest, principal) {
      if (principal) guest.principal = principal
      else guest.socket.close(CLOSE.UNAUTHENTICATED, 'Revoked')
    },
    log,
  })

  const door: WebSocketDoor = {
    upgrade(...upgrade) {
      const [request, socket] = upgrade
      const origin = originOf(request)
      const requestId = requestIdOf(request)
      const note = (code: FaultCode): void => noteRefusal({ origin, requestId, signal: AbortSignal.abort() }, code)
      const refusal = refuseUpgrade(request, allowsOrigin)
      if (refusal) {
        if (refusal === 'FORBIDDEN') note(refusal)
        socket.on('error', () => socket.destroy())
        return answerRaw(socket, refusal, undefined, requestId)
      }
      if (draining) return turnAway(upgrade, CLOSE.DRAINING, 'Service restart')
      if (!places.isFull(addressKey(origin.ip))) return shake(upgrade, (opened) => admitGuest(opened, socket, origin))
      note('RATE_LIMITED')
      turnAway(upgrade, CLOSE.TRY_LATER, 'Too many sockets')
    },

    async sweep() {
      const now = Date.now()
      for (const guest of guests) {
        if (guest.principal && guest.principal.expiresAt <= now) guest.socket.close(CLOSE.EXPIRED, 'Token expired')
        if (!guest.greeted && now - guest.pingedAt >= GREET_WITHIN_MS) {
          guest.socket.close(CLOSE.NOT_GREETED, 'Connection initialisation timeout')
        }
        if (now - guest.pingedAt < PING_EVERY_MS) continue
        if (!guest.alive) guest.socket.terminate()
        else guest.socket.ping()
        guest.alive = false
        guest.pingedAt = now
      }
      await rechecks.runOnce()
    },

    sockets: () => guests.size,

    shut: () => void (draining = true),

    drain() {
      door.shut()
      for (const guest of guests) closeForRestart(guest)
    },

    async close() {
      clearInterval(sweeping)
      const closed = [...guests].map(({ socket }) => once(socket, 'close'))
      door.drain()
      const patience = setTimeout(() => guests.forEach(({ socket }) => socket.terminate()), CLOSING_MS)
      await Promise.all(closed)
      clearTimeout(patience)
    },
  }
  const sweeping = setInterval(() => void door.sweep(), SWEEP_MS).unref()
  return door
}

/** Why an upgrade is refused for good; undefined: it is not. Without our sub-protocol the socket opens and closes with 4406. */
function refuseUpgrade({ url, headers }: IncomingMessage, allowsOrigin: AllowsOrigin): 'NOT_FOUND' | 'FORBIDDEN' | undefined {
  if (url?.split('?', 1)[0] !== '/graphql') return 'NOT_FOUND'
  return headers.origin !== undefined && !allowsOrigin(headers.origin, headers.host) ? 'FORBIDDEN' : undefined
}
