/** The addresses of a name. */
import { lookup } from 'node:dns/promises'
import { bulkhead } from 'cockatiel'

/** All addresses of a name; rejects when there are none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>

/** Each lookup holds one of the four threads that also hash passwords: strange names may hold two of them. */
const lookups = bulkhead(2, 1000)

/** As the operating system does it, `/etc/hosts` included. */
export const resolveByHost: Resolve = async (hostname) => {
  const found = await lookups.execute(() => lookup(hostname, { all: true }))
  return found.map(({ address }) => address)
}
