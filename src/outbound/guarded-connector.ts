/** How connections to the outside begin: the name is looked up once, every address it has is judged, and one of these is connected to. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import { bulkhead } from 'cockatiel'
import { buildConnector } from 'undici'
import type { AddressRule, Target } from './address-rule.ts'
import { bare } from './address-rule.ts'
import { OutboundFailure } from './outbound-problem.ts'

/** All addresses of a name; rejects when there are none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

export interface ConnectorSettings {
  readonly rule: AddressRule
  readonly resolve: Resolve
  /** until the connection stands, TLS included */
  readonly connectMs: number
  /** PEM; trusted instead of the usual authorities */
  readonly ca?: string
}

/** Each lookup holds one of the four threads that also hash passwords: strange names may hold two of them. */
const lookups = bulkhead(2, 1000)

/** As the operating system does it, `/etc/hosts` included. */
export const resolveByHost: Resolve = async (hostname) => {
  const found = await lookups.execute(() => lookup(hostname, { all: true }))
  return found.map(({ address }) => address)
}

export function createGuardedConnector({ rule, resolve, connectMs, ca }: ConnectorSettings): buildConnector.connector {
  async function connect(options: buildConnector.Options, callback: buildConnector.Callback): Promise<void> {
    const hostname = bare(options.hostname)
    const target: Target = { hostname, port: Number(options.port || (options.protocol === 'https:' ? 443 : 80)) }
    try {
      const addresses = await findAddresses(target, rule, resolve)
      const base = buildConnector({
        ...{ allowH2: false, timeout: connectMs, rejectUnauthorized: true, minVersion: 'TLSv1.2', lookup: only(addresses) },
        ...(ca !== undefined && { ca }),
      })
      base(options, callback)
    } catch (error) {
      callback(error as Error, null)
    }
  }
  return (options, callback) => void connect(options, callback)
}

/** One forbidden address forbids the name: which of them would be taken is chance. */
async function findAddresses(target: Target, rule: AddressRule, resolve: Resolve): Promise<readonly string[]> {
  const addresses = isIP(target.hostname) ? [target.hostname] : await resolve(target.hostname)
  const allowed = addresses.every((address) => rule.mayConnect(target, address))
  if (!allowed) throw new OutboundFailure('REFUSED', `${target.hostname} leads to an address that may not be called.`)
  if (addresses.length === 0) throw new OutboundFailure('NETWORK', `${target.hostname} has no address.`)
  return addresses
}

/** Nobody asks the name's servers again, who might answer otherwise by now. */
function only(addresses: readonly string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_hostname, { all }, callback) => {
    if (all) callback(null, found)
    else callback(null, found[0]!.address, found[0]!.family)
  }
}
