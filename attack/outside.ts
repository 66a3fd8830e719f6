/** The outside that steps of the server under attack call: a door that they may call, and a canary beside it that they must never reach. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'

/** Names under it are answered by `strange-names.ts`, inside of the server under attack. */
export const STRANGE_NAMES = 'names.attack.example'

export interface Outside {
  /** `127.0.0.1:port`: allowed by the operator */
  readonly door: string
  /** also allowed, another origin */
  readonly otherDoor: string
  /** its port is open; its address is not */
  readonly canaryPort: number
  /** what came to the doors, in order */
  readonly knocks: readonly { url: string; headers: IncomingMessage['headers'] }[]
  /** how often the canary was reached */
  reached(): number
  /** what the server under attack needs in its environment to be able to call the doors */
  readonly environment: Readonly<Record<string, string>>
  close(): void
}

const BOMB = gzipSync(Buffer.alloc(100_000_000))
const DRIP_MS = 50

export async function startOutside(): Promise<Outside> {
  const knocks: { url: string; headers: IncomingMessage['headers'] }[] = []
  let reached = 0
  const knock = (request: IncomingMessage, response: ServerResponse): void => {
    knocks.push({ url: request.url!, headers: request.headers })
    answer(new URL(request.url!, 'http://door'), response)
  }
  const servers = [
    createServer(knock),
    createServer(knock),
    createServer((_request, response) => (reached++, response.end('in'))),
  ]
  const [door, otherDoor, canary] = (await Promise.all(servers.map(listen))) as [number, number, number]
  return {
    door: `127.0.0.1:${door}`,
    otherDoor: `127.0.0.1:${otherDoor}`,
    canaryPort: canary,
    knocks,
    reached: () => reached,
    environment: {
      SLUICE_OUTBOUND_ALLOW: `127.0.0.2,127.0.0.1:${door},127.0.0.1:${otherDoor}`,
      SLUICE_OUTBOUND_PORTS: `80,443,${canary}`,
      NODE_OPTIONS: `--import=${fileURLToPath(new URL('strange-names.ts', import.meta.url))}`,
    },
    close() {
      for (const server of servers) server.close().closeAllConnections()
    },
  }
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

function answer({ pathname, searchParams }: URL, response: ServerResponse): void {
  response.on('error', () => undefined)
  if (pathname === '/redirect') {
    response
      .writeHead(Number(searchParams.get('status') ?? 302), {
        location: Buffer.from(searchParams.get('to') ?? '').toString('latin1'),
      })
      .end()
  } else if (pathname === '/bomb') response.writeHead(200, { 'content-encoding': 'gzip' }).end(BOMB)
  else if (pathname === '/drip') {
    const drip = setInterval(() => response.write(' '), DRIP_MS)
    response.writeHead(200).on('close', () => clearInterval(drip))
  } else if (pathname === '/endless') {
    const more = (): unknown => response.destroyed || response.write(Buffer.alloc(65_536), (error) => error ?? more())
    response.writeHead(200)
    more()
  } else if (pathname === '/headers') {
    response.socket!.end(`HTTP/1.1 200 OK\r\n${'x-a: b\r\n'.repeat(10_000)}\r\n`)
  } else response.end('{}')
}
