/** A TCP proxy before a server, whose connections a test cuts, lets hang, or refuses. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface CutProxy {
  /** in place of the server's, when it speaks HTTP */
  readonly url: string
  /** on 127.0.0.1 */
  readonly port: number
  /** Ends all connections, as when a cable is pulled. */
  cut(): void
  /** Ends all connections, and so many new ones at once, as where no server answers yet. */
  refuse(times: number): void
  /** From here on nothing comes through and nobody is told, as behind a firewall that drops: old connections and new ones hang. */
  stall(): void
  /** New connections come through again. Those that hung go on hanging: whoever dropped them has forgotten them. */
  heal(): void
}

/** Before the server at `url` (a percent-encoded directory as the host is a Unix socket's), until the test is over. */
export async function startCutProxy(url: string): Promise<CutProxy> {
  const { hostname, port } = new URL(url)
  const host = decodeURIComponent(hostname)
  const sockets = new Set<Socket>()
  let stalled = false
  let refusing = 0
  const cut = (): void => sockets.forEach((socket) => socket.destroy())
  const server = createServer((near) => {
    if (refusing > 0) return void ((refusing -= 1), near.destroy())
    keep(near)
    if (stalled) return void near.on('data', () => undefined)
    const far = host.startsWith('/') ? connect(`${host}/.s.PGSQL.${port}`) : connect(Number(port), host)
    keep(far)
    near.pipe(far)
    far.pipe(near)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
  })
  const keep = (socket: Socket): void => {
    sockets.add(socket)
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket))
  }
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => {
    server.close()
    cut()
  })
  const { port: own } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${own}`,
    port: own,
    cut,
    refuse(times) {
      refusing = times
      cut()
    },
    stall() {
      stalled = true
      for (const socket of sockets) socket.unpipe().pause()
    },
    heal: () => void (stalled = false),
  }
}
