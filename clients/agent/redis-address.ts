/**
 * URLs of a Redis, which servers and agents read alike: of one server, of several nodes of a cluster, of the sentinels of a master.
 *
 *     redis://[user:password@]host[:6379][/db]
 *     redis://[user:password@]node[:6379],node[:6379]...
 *     redis+sentinel://[user:password@]sentinel[:26379],sentinel[:26379].../master[/db][?sentinel_username=...&sentinel_password=...]
 *
 * With `rediss` all of it speaks TLS. One list behind one user, as PostgreSQL, MongoDB and Lettuce have it; sentinels as in Python
 * (redis-sentinel-url, Prefect).
 */

export interface RedisPlace {
  readonly host: string
  readonly port: number
}

export interface RedisAddress {
  /** `one` may turn out to be a node of a cluster */
  readonly kind: 'one' | 'cluster' | 'sentinel'
  readonly tls: boolean
  /** the server, nodes of the cluster, or sentinels */
  readonly places: readonly RedisPlace[]
  /** as it stands there, with its @; empty where there is none */
  readonly userInfo: string
  readonly username: string
  readonly password: string
  readonly db: number
  /** by which name the sentinels know it; empty where there are none */
  readonly master: string
  readonly sentinelUsername?: string | undefined
  readonly sentinelPassword?: string | undefined
}

const FORM =
  /^(?<scheme>rediss?)(?<sentinel>\+sentinel)?:\/\/(?<userInfo>[^/?#]*@)?(?<hosts>[^@/?#]*)(?<path>[^?#]*)(?<search>\?[^#]*)?$/s
const PORTS = { one: 6379, cluster: 6379, sentinel: 26_379 }
const OF_SENTINELS = ['sentinel_username', 'sentinel_password']

/** Throws an Error with all that is wrong. */
export function redisAddress(url: string): RedisAddress {
  const { address, mistakes } = readRedisUrl(url)
  if (!address) throw new Error(`The URL of Redis ${mistakes.join('; it ')}.`)
  return address
}

/** Mistakes are sentences without a subject that quote nothing: a password may be anywhere. There is an address where there are none. */
export function readRedisUrl(url: string): { readonly address?: RedisAddress; readonly mistakes: readonly string[] } {
  const { scheme, sentinel, userInfo = '', hosts = '', path = '', search = '' } = FORM.exec(url)?.groups ?? {}
  if (!scheme)
    return { mistakes: ['must begin with redis://, rediss://, redis+sentinel:// or rediss+sentinel://, and have no #'] }
  const kind = sentinel ? 'sentinel' : hosts.includes(',') ? 'cluster' : 'one'
  const places = hosts.split(',').flatMap((host) => placeOf(host, PORTS[kind]) ?? [])
  const [master, db, ...beyond] = [...(sentinel ? [] : ['']), ...path.split('/').slice(1), '', '']
  const [username, password] = userInfo.slice(0, -1).split(/:(.*)/s)
  const [user, secret, name] = [username, password, master].map(decoded)
  const parameters = new URLSearchParams(search)
  const among = (names: readonly string[]): boolean => [...parameters.keys()].every((key) => names.includes(key))

  const wrong: Record<string, boolean> = {
    'must name hosts as host:port, and percent-encode / ? # @ , in a password':
      places.length < hosts.split(',').length || path.includes('@'),
    'must have user and password once, before all hosts': userInfo.includes(',') && userInfo.slice(0, -1).includes('@'),
    'has a % that begins no percent-encoding': [user, secret, name].includes(undefined),
    'must name the master behind its sentinels, as in redis+sentinel://host:26379/mymaster': kind === 'sentinel' && name === '',
    'must end with the number of a database, or with none': !/^\d{0,9}$/.test(db) || beyond.join('') !== '',
    'must not name a database: a cluster has one': kind === 'cluster' && Number(db) > 0,
    'may have no parameters': kind === 'cluster' && !among([]),
    'may have no parameters but sentinel_username and sentinel_password': kind === 'sentinel' && !among(OF_SENTINELS),
  }
  const mistakes = Object.keys(wrong).filter((mistake) => wrong[mistake])
  if (mistakes.length > 0) return { mistakes }
  const [sentinelUsername, sentinelPassword] = OF_SENTINELS.map((key) => parameters.get(key) || undefined)
  const who = { userInfo, username: user!, password: secret!, sentinelUsername, sentinelPassword }
  return { address: { kind, tls: scheme === 'rediss', places, ...who, db: Number(db), master: name! }, mistakes }
}

/** For people: without user and password. */
export const shownRedis = (url: string): string => url.replace(/\?.*$/s, '').replace(/\/\/[^/]*@/, '//***@')

function placeOf(text: string, defaultPort: number): RedisPlace | undefined {
  const url = URL.parse(`redis://${text}`)
  return url?.hostname ? { host: url.hostname.replaceAll(/^\[|\]$/g, ''), port: Number(url.port || defaultPort) } : undefined
}

function decoded(text = ''): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** What `ioredis` calls these sentinels. */
export const sentinelOptions = (address: RedisAddress) => ({
  ...{ sentinels: [...address.places], name: address.master, db: address.db, ...loginOf(address) },
  ...{ sentinelUsername: address.sentinelUsername, sentinelPassword: address.sentinelPassword },
  ...(address.tls && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
})

/** Of the master, of the server or of every node. */
export const loginOf = ({ tls, username, password }: RedisAddress) => ({ username, password, ...(tls && { tls: {} }) })
