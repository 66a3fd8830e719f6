/**
 * Loaded into the server under attack: its system resolver also knows names that an attacker's name server would answer, some of which
 * change their mind between two questions (DNS rebinding). The server's own code is as it is.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module'

const promises = createRequire(import.meta.url)('node:dns/promises') as { lookup: Lookup }
type Lookup = (hostname: string, options?: object) => Promise<unknown>

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

const { lookup } = promises
promises.lookup = async (hostname, options) => {
  const found = hostname.endsWith(ZONE) ? ANSWERS[hostname.slice(0, -ZONE.length).split('-')[0]!] : undefined
  if (!found) return lookup(hostname, options)
  const time = asked.get(hostname) ?? 0
  asked.set(hostname, time + 1)
  return found(time).map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
}
syncBuiltinESMExports()
