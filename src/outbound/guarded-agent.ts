/**
 * Connections to the outside: the name is looked up once, every address it has is judged, and one of these is connected to. Read in
 * with the first call: a server that calls nobody needs none of undici's 9 MB.
 */
import { isIP } from 'node:net'
import type { LookupFunction } from 'node:net'
import { Agent, buildConnector } from 'undici'
import type { AddressRule, Target } from './address-rule.ts'
import { bare } from './address-rule.ts'
import { OutboundFailure } from './outbound-problem.ts'
import type { Resolve } from './resolve-host.ts'

export interface AgentSettings {
  readonly rule: AddressRule
  readonly resolve: Resolve
  /** PEM; trusted instead of the usual authorities */
  readonly ca?: string
}

/** Until the connection stands, TLS included. */
const CONNECT_MS = 10_000
const MAX_HEADER_BYTES = 16_384

export const createGuardedAgent = (settings: AgentSettings): Agent =>
  new Agent({
    connect: createGuardedConnector(settings),
    ...{ allowH2: false, pipelining: 1, maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: 4_000, keepAliveMaxTimeout: 30_000 },
  })

function createGuardedConnector({ rule, resolve, ca }: AgentSettings): buildConnector.connector {
  async function connect(options: buildConnector.Options, callback: buildConnector.Callback): Promise<void> {
    const hostname = bare(options.hostname)
    const target: Target = { hostname, port: Number(options.port || (options.protocol === 'https:' ? 443 : 80)) }
    try {
      const addresses = await findAddresses(target, rule, resolve)
      const base = buildConnector({
        ...{ allowH2: false, timeout: CONNECT_MS, rejectUnauthorized: true, minVersion: 'TLSv1.2', lookup: only(addresses) },
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
