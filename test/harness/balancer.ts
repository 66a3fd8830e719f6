/** A load balancer before one server, as far as its clients see it: connections are taken at any time, and wait while the server is not there. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import { afterAll } from 'vitest'

const AGAIN_MS = 20

/** The URL of what stands before this port of this machine; gone at the end of the file. */
export async function balancerOf(port: number): Promise<string> {
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    sockets.add(near)
    near.pause()
    near.on('error', () => undefined).once('close', () => sockets.delete(near))
    const reach = (): void => {
      if (near.destroyed) return
      const far = connect(port, '127.0.0.1')
      const goOn = (): void => void setTimeout(reach, AGAIN_MS)
      far.once('error', goOn).once('connect', () => {
        far.off('error', goOn).on('error', () => undefined)
        far.once('close', () => near.destroy())
        near.once('close', () => far.destroy())
        near.pipe(far)
        far.pipe(near)
      })
    }
    reach()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  afterAll(() => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
