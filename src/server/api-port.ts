/**
 * The port of the API, open from the first moment of the process: whoever asks for its health is answered while the rooms behind the
 * doors are still being built.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { CLOSE } from './guest.ts'
import { createHandshake } from './handshake.ts'
import { answerHealth } from './health.ts'
import type { AskReadiness } from './health.ts'
import { answerClientError, answerRaw } from './raw-answer.ts'
import { createSecurityHeaders } from './response-headers.ts'
import { urlHost } from './url-host.ts'

/** What one connection may take of the server's patience and memory. */
const CONNECTION: ServerOptions = {
  /** a whole request, its body too, within this time; looked at every second */
  requestTimeout: 30_000,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 1_000,
  /** longer than load balancers keep idle connections (60 s): else they send into one that was just closed */
  keepAliveTimeout: 65_000,
  maxHeaderSize: 16 * 1_024,
  /** the door asks for it, and answers as it always does */
  requireHostHeader: false,
  /** others (h2c) are asked for by clients that go on without: some libraries do so on each request */
  shouldUpgradeCallback: ({ headers }) => headers.upgrade?.toLowerCase() === 'websocket',
}

/**
 * What was written and not taken: a response of which nothing went out for this long is ended. It is the time in which a connection is
 * silent both ways, too, which ends none that is still being answered.
 */
const TAKE_WITHIN_MS = 30_000

/** Connections that wait to be accepted, as far as the kernel lets us (somaxconn): after a restart all clients come at once. Beyond it they are reset. */
const BACKLOG = 4_096

export interface ApiDoors {
  request(request: IncomingMessage, response: ServerResponse): Promise<void>
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
}

export interface ApiPort {
  /** as a browser on this machine would write it */
  readonly url: string
  readonly port: number
  readonly server: Server
  /** What comes from now on goes to these doors; before, it is told to come again. */
  open(doors: ApiDoors): void
  close(): Promise<void>
}

/** Resolves when it listens; rejects when the port is taken. */
export async function openApiPort(at: { host: string; port: number }, askReadiness: AskReadiness): Promise<ApiPort> {
  const setSecurityHeaders = createSecurityHeaders(false)
  const { turnAway } = createHandshake()
  let doors: ApiDoors = {
    async request(request, response) {
      setSecurityHeaders(request, response)
      const path = (request.url ?? '/').split('?', 1)[0]!
      if (request.method === 'GET' && (await answerHealth(path, response, askReadiness))) return
      answerRaw(request.socket, 'UNAVAILABLE', 'The server is starting.')
    },
    upgrade: (...upgrade) => turnAway(upgrade, CLOSE.TRY_LATER, 'The server is starting'),
  }
  const server = createServer(CONNECTION)
  server.timeout = TAKE_WITHIN_MS
  server.on('clientError', answerClientError)
  server.on('request', (request, response) => {
    response.on('timeout', endUntaken)
    void doors.request(request, response)
  })
  server.on('upgrade', (request, socket, head) => doors.upgrade(request, socket, head))
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen({ ...at, backlog: BACKLOG }, resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://${urlHost(at.host)}:${port}`,
    port,
    server,
    open: (opened) => void (doors = opened),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

/** Node's `timeout` of a connection: none while a part of what waits goes out. */
function endUntaken(this: ServerResponse): void {
  if (this.writableLength > 0) this.destroy()
}
