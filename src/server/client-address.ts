/** Where a request really comes from, also behind proxies. */
import type { IncomingMessage } from 'node:http'
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

/** The address of the client; undefined when the connection is gone. */
export type ClientAddress = (request: Pick<IncomingMessage, 'socket' | 'headers'>) => string | undefined

/**
 * `trusted`: addresses and networks (CIDR) of our own proxies. Each of them adds to the end of `x-forwarded-for` whom it speaks for,
 * so the header is read from its end, and only as long as whoever said it is one of ours: what a client wrote itself is never
 * reached. A trusted proxy that says something that is no address speaks for itself.
 */
export function createClientAddress(trusted: readonly string[]): ClientAddress {
  const networks = trusted.map(networkOf)
  const isTrusted = (address: Address): boolean =>
    networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))

  return ({ socket, headers }) => {
    const peer = socket.remoteAddress
    if (networks.length === 0 || peer === undefined) return peer
    const said = [headers['x-forwarded-for'] ?? []].flat().join(',').split(',')
    let client = addressOf(peer)
    while (client && isTrusted(client)) {
      const next = addressOf(said.pop())
      if (!next) break
      client = next
    }
    return client?.toString() ?? peer
  }
}

/** `192.0.2.1` or `192.0.2.0/24`; IPv4 written as IPv6 is IPv4. Throws when it is neither. */
export function networkOf(text: string): [Address, number] {
  if (text.includes('/')) return ipaddr.parseCIDR(text)
  const address = ipaddr.process(text)
  return [address, address.kind() === 'ipv4' ? 32 : 128]
}

/** Some proxies write ports too: `192.0.2.1:4711`, `[2001:db8::1]:4711`. */
function addressOf(hop: string | undefined): Address | undefined {
  const text = hop?.trim() ?? ''
  const bare = /^\[(.+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  const isAddress = ipaddr.IPv4.isValidFourPartDecimal(bare) || ipaddr.IPv6.isValid(bare)
  return isAddress ? ipaddr.process(bare) : undefined
}
