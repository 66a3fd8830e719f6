/** pg's client, which knows a server that is called by its address by that address. */
import { isIP } from 'node:net'
import { Client } from 'pg'
import type { ClientConfig } from 'pg'

/**
 * pg gives TLS the names of hosts alone. Without one, Node takes a certificate for good that is made out to `localhost`, and one that is
 * made out to the address for bad. The basis of every client that leaves this machine.
 */
export class VerifyingClient extends Client {
  constructor(config?: string | ClientConfig) {
    super(config)
    // what it has besides is not in its types
    const { connection, host } = this as unknown as { connection: { ssl: boolean | object }; host: string }
    if (!connection.ssl || isIP(host) === 0) return
    // in place: a key in it is hidden from copies
    if (connection.ssl === true) connection.ssl = { host }
    else Object.assign(connection.ssl, { host })
  }
}
