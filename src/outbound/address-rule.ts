/** Which addresses and ports may be called: those of the public internet, and what the operator allows besides (B15). */
import ipaddr from 'ipaddr.js'

type Address = ipaddr.IPv4 | ipaddr.IPv6

export interface Target {
  /** as `URL` writes it, without brackets */
  readonly hostname: string
  readonly port: number
}

export interface AddressRule {
  /** Before anything is looked up: may this port be called, and if the host is an address, may that one? */
  mayCall(target: Target): boolean
  /** What the name was found to be. */
  mayConnect(target: Target, address: string): boolean
}

export interface AddressRuleSettings {
  /** `10.1.0.0/16`, `10.1.2.3`, `host:port` or `[::1]:port` */
  readonly allow: readonly string[]
  /** of hosts that are not allowed with a port of their own */
  readonly ports: readonly number[]
}

/**
 * A network opens addresses, on the ports that are open anyway. A host with a port opens that port of that host, wherever its name
 * leads, except to link-local addresses (where clouds hand out credentials), multicast and the like: they must be named themselves.
 */
export function createAddressRule({ allow, ports }: AddressRuleSettings): AddressRule {
  const open = new Set(ports)
  const entries = allow.map(readAllowed)
  const hosts = new Set(entries.flatMap((entry) => ('host' in entry ? [entry.host] : [])))
  const networks = entries.flatMap((entry) => ('network' in entry ? [entry.network] : []))
  const isNamed = ({ hostname, port }: Target): boolean => hosts.has(keyOf(hostname, port))

  const mayConnect = (target: Target, text: string): boolean => {
    const address = parse(text)
    if (!address) return false
    if (networks.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))) return true
    if (isPublic(address)) return true
    if (!isNamed(target)) return false
    return text === target.hostname || PRIVATE.has(address.range())
  }
  return {
    mayCall: (target) =>
      (open.has(target.port) || isNamed(target)) && (!parse(target.hostname) || mayConnect(target, target.hostname)),
    mayConnect,
  }
}

/** Whether it is something that the operator can allow. */
export function isAllowable(text: string): boolean {
  try {
    readAllowed(text)
    return true
  } catch {
    return false
  }
}

const PRIVATE: ReadonlySet<string> = new Set(['private', 'loopback', 'uniqueLocal', 'carrierGradeNat'])

/** Of the internet that everybody can see. Addresses that carry another one inside them lead wherever that one leads: none may. */
function isPublic(address: Address): boolean {
  if (address.range() !== 'unicast') return false
  if (!(address instanceof ipaddr.IPv6)) return true
  const { parts } = address
  const isGlobal = (parts[0]! & 0xe000) === 0x2000
  // ISATAP: an IPv4 address behind 0:5efe, in any network. https://www.rfc-editor.org/rfc/rfc5214#section-6.1
  const isIsatap = (parts[4]! & ~0x0200) === 0 && parts[5] === 0x5efe
  return isGlobal && !isIsatap
}

/** Four decimal parts, or IPv6; other spellings are no addresses here, and `URL` has made them plain before. */
function parse(text: string): Address | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return ipaddr.IPv4.parse(text)
  return ipaddr.IPv6.isValid(text) ? ipaddr.IPv6.parse(text) : undefined
}

type Allowed = { network: [Address, number] } | { host: string }

/** Throws when it is none. A network of all addresses would be no rule any more. */
function readAllowed(text: string): Allowed {
  if (text.includes('/')) {
    const network = ipaddr.parseCIDR(text)
    if (network[1] === 0) throw new Error('everybody')
    return { network }
  }
  const address = parse(text)
  if (address) return { network: [address, address.kind() === 'ipv4' ? 32 : 128] }
  if (!/^[^/?#@\\*]+:\d{1,5}$/.test(text)) throw new Error('neither a network nor a host with a port')
  const { hostname, port } = new URL(`none://${text}`)
  return { host: keyOf(bare(new URL(`http://${hostname}`).hostname), Number(port)) }
}

const keyOf = (hostname: string, port: number): string => `${hostname} ${port}`
/** `URL` keeps the brackets of IPv6. */
export const bare = (hostname: string): string => hostname.replace(/^\[|\]$/g, '')
