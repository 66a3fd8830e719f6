/**
 * Loaded into the server under attack: its system resolver also knows names that an attacker's name server would answer, some of which
 * change their mind between two questions (DNS rebinding). The server's own code is as it is.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'

type Found = { address: string; family: number }[]
type Lookup = (hostname: string, options?: object) => Promise<unknown>
type Callback = (error: Error | null, found?: Found | string, family?: number) => void
type LookupThen = (hostname: string, options: { all?: boolean }, callback: Callback) => void

const require = createRequire(import.meta.url)
const promises = require('node:dns/promises') as { lookup: Lookup }
const callbacks = require('node:dns') as { lookup: LookupThen }

const ZONE = '.names.attack.example'
/** The operator allows it, nobody is there. */
const ALLOWED = '127.0.0.2'
const FORBIDDEN = '127.0.0.1'

const asked = new Map<string, number>()
const ANSWERS: Readonly<Record<string, (time: number) => string[]>> = {
  rebind: (time) => [time === 0 ? ALLOWED : FORBIDDEN],
  alternate: (time) => [time % 2 === 0 ? ALLOWED : FORBIDDEN],
  both: () => [ALLOWED, FORBIDDEN],
  inside: () => [FORBIDDEN],
  mapped: () => ['::ffff:127.0.0.1'],
  metadata: () => ['169.254.169.254'],
  nobody: () => [],
}

/** What the name is this time; undefined: it is none of ours. */
function find(hostname: string): Found | undefined {
  const answer = hostname.endsWith(ZONE) ? ANSWERS[hostname.slice(0, -ZONE.length).split('-')[0]!] : undefined
  const time = asked.get(hostname) ?? 0
  asked.set(hostname, time + 1)
  return answer?.(time).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}

const { lookup } = promises
promises.lookup = async (hostname, options) => find(hostname) ?? lookup(hostname, options)
// what a connection asks that is made by name
const { lookup: lookupThen } = callbacks
callbacks.lookup = (hostname, options, callback) => {
  const found = find(hostname)
  if (!found) lookupThen(hostname, options, callback)
  else if (options.all) callback(null, found)
  else callback(null, found[0]?.address, found[0]?.family)
}
syncBuiltinESMExports()
