/** A TCP proxy before a server, whose connections a test cuts. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface CutProxy {
  /** in place of the server's */
  readonly url: string
  /** Ends all connections, as when a cable is pulled. */
  cut(): void
}

/** Before the server at `url`, until the test is over. */
export async function startCutProxy(url: string): Promise<CutProxy> {
  const { hostname, port } = new URL(url)
  const sockets = new Set<Socket>()
  const cut = (): void => sockets.forEach((socket) => socket.destroy())
  const server = createServer((near) => {
    const far = connect(Number(port), hostname)
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.on('error', () => undefined).on('close', () => void (sockets.delete(from), to.destroy()))
      from.pipe(to)
    }
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.close()
    cut()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, cut }
}
