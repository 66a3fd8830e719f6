/** A Redis Cluster of a test file's own, of one node that has everything or of several that share it. */
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'
import { testRedis } from './redis.ts'
import type { TestRedis } from './redis.ts'
import type { TestCertificate } from './test-certificate.ts'

export interface TestRedisCluster {
  /** of one of its nodes */
  readonly url: string
  /** of all of them; before them stands one that is not there */
  readonly urlOfAll: string
  readonly masters: readonly TestRedis[]
  /** settles when it takes commands, about two seconds after it was started */
  readonly ready: Promise<void>
}

const SLOTS = 16_384
/** so soon a node that does not answer is taken to be dead */
const SETTINGS = {
  'cluster-enabled': 'yes',
  'cluster-announce-ip': '127.0.0.1',
  'cluster-node-timeout': 1_000,
  'cluster-require-full-coverage': 'no',
  'repl-diskless-sync-delay': 0,
}

export interface TestRedisClusterOptions {
  /** 1 */
  readonly masters?: number
  /** which masters have a replica each; `url` is then that of one of these */
  readonly replicasOf?: readonly number[]
  /** the nodes speak TLS alone, with whoever trusts its `ca` */
  readonly certificate?: TestCertificate
}

/** To be called once, where `hasRedis`, at the top of a test file. It is gone at the end of the file. */
export async function testRedisCluster(options: TestRedisClusterOptions = {}): Promise<TestRedisCluster> {
  const { masters = 1, replicasOf = [], certificate } = options
  const nodes = await Promise.all(Array.from({ length: masters + replicasOf.length }, () => startNode(certificate)))
  const ready = join(nodes, masters, replicasOf, certificate)
  // told to whoever waits for it
  ready.catch(() => undefined)
  const started = nodes.map(({ redis }) => redis)
  const places = [await freePort(), ...started.map(({ port }) => port)].map((port) => `127.0.0.1:${port}`)
  const urlOfAll = `${certificate ? 'rediss' : 'redis'}://${places.join(',')}`
  return { url: started.at(-1)!.url, urlOfAll, masters: started.slice(0, masters), ready }
}

interface Node {
  readonly redis: TestRedis
  readonly busPort: number
}

async function startNode(certificate?: TestCertificate): Promise<Node> {
  const busPort = await freePort()
  return { redis: await testRedis({ ...SETTINGS, 'cluster-port': busPort }, certificate), busPort }
}

async function join(
  nodes: readonly Node[],
  masters: number,
  replicasOf: readonly number[],
  certificate?: TestCertificate,
): Promise<void> {
  const clients = nodes.map(({ redis }) => new Redis(redis.url, certificate ? { tls: { ca: certificate.ca } } : {}))
  const everywhere = (holds: (client: Redis) => Promise<boolean>): Promise<unknown> =>
    Promise.all(clients.map((client) => until(() => holds(client))))
  try {
    for (const [at, client] of clients.slice(0, masters).entries()) {
      const [from, to] = [at, at + 1].map((part) => Math.floor((part * SLOTS) / masters))
      await client.cluster('ADDSLOTSRANGE', from!, to! - 1)
      await client.call('CLUSTER', 'SET-CONFIG-EPOCH', at + 1)
    }
    const [first] = clients
    for (const { redis, busPort } of nodes.slice(1)) await first!.call('CLUSTER', 'MEET', '127.0.0.1', redis.port, busPort)
    await everywhere(async (client) => (await client.cluster('INFO')).includes(`cluster_known_nodes:${nodes.length}`))
    for (const [at, of] of replicasOf.entries())
      await clients[masters + at]!.cluster('REPLICATE', await clients[of]!.cluster('MYID'))
    await everywhere(async (client) => (await client.cluster('INFO')).includes('cluster_state:ok'))
    // a replica that has nothing yet is never chosen
    for (const client of clients.slice(masters))
      await until(async () => (await client.info('replication')).includes('link_status:up'))
  } finally {
    for (const client of clients) client.disconnect()
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50))
}
