/** An HTTP service that a test starts on this machine, and what it was asked. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'

export interface Asked {
  method: string
  /** path and query */
  path: string
  headers: IncomingHttpHeaders
  body: string
}

export interface StubService extends AsyncDisposable {
  /** `127.0.0.1:port` */
  readonly host: string
  readonly port: number
  readonly url: string
  readonly asked: readonly Asked[]
  close(): Promise<void>
}

/** `answer` may leave the response open, or destroy its socket. */
export async function startStubService(
  answer: (asked: Asked, response: ServerResponse, request: IncomingMessage) => unknown,
): Promise<StubService> {
  const asked: Asked[] = []
  const sockets = new Set<Socket>()
  const server = createServer(async (request, response) => {
    const parts: Buffer[] = []
    request.on('error', () => undefined)
    for await (const part of request) parts.push(part as Buffer)
    const { method = '', url = '', headers } = request
    const one = { method, path: url, headers, body: Buffer.concat(parts).toString() }
    asked.push(one)
    await answer(one, response, request)
  })
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  return { host: `127.0.0.1:${port}`, port, url: `http://127.0.0.1:${port}`, asked, close, [Symbol.asyncDispose]: close }
}
