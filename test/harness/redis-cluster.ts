/** A Redis Cluster of a test file's own, of one node that has everything or of several that share it. */
import { Redis } from 'ioredis'
import { freePort, testRedis } from './redis.ts'
import type { TestRedis } from './redis.ts'

export interface TestRedisCluster {
  /** of one of its nodes */
  readonly url: string
  readonly masters: readonly TestRedis[]
  /** of the first master, if there is one */
  readonly replica: TestRedis | undefined
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
}

/** To be called once, where `hasRedis`, at the top of a test file. It is gone at the end of the file. */
export async function testRedisCluster({ masters = 1, replica = false } = {}): Promise<TestRedisCluster> {
  const nodes = await Promise.all(Array.from({ length: masters + (replica ? 1 : 0) }, startNode))
  const ready = join(nodes, masters)
  // told to whoever waits for it
  ready.catch(() => undefined)
  return {
    url: nodes[0]!.redis.url,
    masters: nodes.slice(0, masters).map(({ redis }) => redis),
    replica: nodes[masters]?.redis,
    ready,
  }
}

interface Node {
  readonly redis: TestRedis
  readonly busPort: number
}

async function startNode(): Promise<Node> {
  const busPort = await freePort()
  return { redis: await testRedis({ ...SETTINGS, 'cluster-port': busPort }), busPort }
}

async function join(nodes: readonly Node[], masters: number): Promise<void> {
  const clients = nodes.map(({ redis }) => new Redis(redis.url))
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
    for (const client of clients.slice(masters)) await client.cluster('REPLICATE', await first!.cluster('MYID'))
    await everywhere(async (client) => (await client.cluster('INFO')).includes('cluster_state:ok'))
  } finally {
    for (const client of clients) client.disconnect()
  }
}

async function until(holds: () => Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 50))
}
