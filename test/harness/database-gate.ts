/** A TCP address of a PostgreSQL that comes and goes: the same at each start, closed while there is none. */
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { afterAll } from 'vitest'
import { freePort } from './free-port.ts'

export interface DatabaseGate {
  /** the same role and database at this address */
  through(url: string): string
  /** Leads to the server that this URL of a Unix socket names. */
  open(url: string): Promise<void>
  /** Nobody listens any more, and all connections are gone. */
  shut(): Promise<void>
}

export async function databaseGate(): Promise<DatabaseGate> {
  const port = await freePort()
  const sockets = new Set<Socket>()
  let server: Server | undefined

  async function shut(): Promise<void> {
    if (!server) return
    const closed = once(server, 'close')
    server.close()
    for (const socket of sockets) socket.destroy()
    server = undefined
    await closed
  }
  afterAll(shut)

  return {
    through: (url) => url.replace(/@[^/]+\//, `@127.0.0.1:${port}/`),
    async open(url) {
      const { hostname, port: number } = new URL(url)
      const path = `${decodeURIComponent(hostname)}/.s.PGSQL.${number}`
      server = createServer((near) => {
        const far = connect(path)
        for (const [from, to] of [
          [near, far],
          [far, near],
        ] as const) {
          sockets.add(from)
          from.on('error', () => undefined).on('close', () => void (sockets.delete(from), to.destroy()))
          from.pipe(to)
        }
      })
      await once(server.listen(port, '127.0.0.1'), 'listening')
    },
    shut,
  }
}
