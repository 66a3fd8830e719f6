/**
 * Between a drill's processes and Redis: a proxy, before each node where it is a cluster, before whoever
 * is master where sentinels say that. Nodes name each other to whoever asks; on its way
 * through a proxy such a name becomes that of the named node's proxy.
 */
import { Duplex, Transform } from 'node:stream'
import { redisAddress } from '../../clients/agent/redis-address.ts'
import type { RedisAddress } from '../../clients/agent/redis-address.ts'
import { connectRedis, connectToMaster, nodesOf } from '../fleet/redis-connection.ts'
import { createLog } from '../log.ts'
import { together } from './proxy.ts'
import type { OpenUpstream, Proxy, Way } from './proxy.ts'
import { toRedis } from './upstream.ts'

export interface RedisWay extends Way {
  /** for the drill's processes */
  readonly url: string
}

export async function openRedisWay(url: string, open: (upstream: OpenUpstream) => Promise<Proxy>): Promise<RedisWay> {
  const address = redisAddress(url)
  const redis = await connectRedis(url, createLog('silent'))
  // none where it is no cluster, or away
  const nodes = redis.client ? nodesOf(redis.client) : []
  redis.close()
  const names = new Map<string, string>()
  const proxies: Proxy[] = []
  for (const { host, port } of nodes) {
    const upstream = toRedis({ host, port }, address)
    const proxy = await open(async () => renamed(await upstream(), names))
    proxies.push(proxy)
    for (const [at, form] of NAMINGS.entries()) names.set(form(host, port), NAMINGS[at]!('127.0.0.1', proxy.port))
  }
  const other = address.kind === 'sentinel' ? () => connectToMaster(url) : toRedis(address.places[0]!, address)
  const [first = await open(other)] = proxies
  return { ...together(proxies.length > 0 ? proxies : [first]), url: redisThroughProxy(address, first.port) }
}

/** For those who go through the proxy: it is one server to them, or a cluster that is found from there. TLS is spoken behind it. */
export const redisThroughProxy = ({ userInfo, db }: RedisAddress, port: number): string =>
  `redis://${userInfo}127.0.0.1:${port}/${db}`

/** How a node is named by CLUSTER SLOTS, and by MOVED and ASK: https://redis.io/docs/latest/develop/reference/protocol-spec/ */
const NAMINGS = [
  (host: string, port: number): string => `$${host.length}\r\n${host}\r\n:${port}\r\n`,
  (host: string, port: number): string => ` ${host}:${port}\r\n`,
]

/** What comes out of the stream has the values of `names` in place of their keys, wherever it was cut on its way. */
export function renamed(stream: Duplex, names: ReadonlyMap<string, string>): Duplex {
  let begun = ''
  const readable = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      let text = begun + chunk.toString('latin1')
      for (const [name, other] of names) text = text.replaceAll(name, other)
      const kept = Math.max(0, ...[...names.keys()].map((name) => beginningAtEnd(text, name)))
      begun = text.slice(text.length - kept)
      done(null, Buffer.from(text.slice(0, text.length - kept), 'latin1'))
    },
  })
  stream.pipe(readable)
  const both = Duplex.from({ readable, writable: stream })
  // one ends with the other, whatever ended it
  const ignore = (): void => undefined
  stream.on('error', ignore).once('close', () => both.destroy())
  both.on('error', ignore).once('close', () => stream.destroy())
  return both
}

/** How much of a name, but not all of it, the text ends with. */
function beginningAtEnd(text: string, name: string): number {
  let length = Math.min(name.length - 1, text.length)
  while (!text.endsWith(name.slice(0, length))) length -= 1
  return length
}
