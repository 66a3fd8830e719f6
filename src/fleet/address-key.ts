/** Whom an address stands for, where callers are counted by it. */
import ipaddr from 'ipaddr.js'

/** What one subscriber gets of IPv6, at the least: whoever has one address of such a network has all of them. */
const SUBSCRIBER_BYTES = 8
const MAX_LENGTH = 64

/** An IPv4 address is itself, also when written as IPv6; an IPv6 address is its /64 network. */
export function addressKey(ip: string | undefined): string {
  if (ip === undefined) return 'unknown'
  if (!ip.includes(':') || !ipaddr.isValid(ip)) return ip.slice(0, MAX_LENGTH)
  const address = ipaddr.process(ip)
  if (!(address instanceof ipaddr.IPv6)) return address.toString()
  const network = address.toByteArray().fill(0, SUBSCRIBER_BYTES)
  return `${new ipaddr.IPv6(network).toString()}/${SUBSCRIBER_BYTES * 8}`
}
