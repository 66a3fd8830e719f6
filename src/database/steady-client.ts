/** pg's client for networks that drop packets: a connection that owes an answer for too long is ended. */
import type { Socket } from 'node:net'
import type { Client, ClientConfig } from 'pg'

/** Twice as long as PostgreSQL works at a statement of ours: whoever is silent for longer does not hear us. The kernel waits for 15 minutes. */
export const SILENT_MS = 10_000

/** Not for statements that may take longer: migrations. */
export function steady(Base: typeof Client): typeof Client {
  return class SteadyClient extends Base {
    constructor(config?: ClientConfig) {
      super({ ...config, connectionTimeoutMillis: SILENT_MS, keepAlive: true })
      // what it has besides is not in its types
      const own = this as unknown as { connection: { stream: Socket }; readyForQuery: boolean; _ending: boolean }
      this.once('connect', () => {
        const { stream } = own.connection
        // a timer of the socket's own, which begins anew with every packet
        stream.setTimeout(SILENT_MS, () => {
          const why = `PostgreSQL has not answered for ${SILENT_MS} ms`
          if (!own.readyForQuery || own._ending) stream.destroy(Object.assign(new Error(why), { code: 'ETIMEDOUT' }))
        })
      })
    }
  }
}
