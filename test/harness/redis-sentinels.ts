/** A master with a replica and three sentinels that watch them, of a test file's own: when the master dies, they make the replica master. */
import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { freePort } from './free-port.ts'
import { testRedis } from './redis.ts'
import type { TestRedis } from './redis.ts'
import type { TestCertificate } from './test-certificate.ts'

export interface TestSentinels {
  /** of the sentinels; before them stands one that is not there */
  readonly url: string
  readonly sentinels: readonly TestRedis[]
  /** the first master, and its replica */
  readonly servers: readonly [TestRedis, TestRedis]
  /** settles when the sentinels know each other and the replica, about two seconds after they were started */
  readonly ready: Promise<void>
  /** Resolves when all sentinels have the one at this port. */
  newMaster(port: number): Promise<void>
  /** Makes the replica at this port master, as an operator does; resolves when the other one is a replica. */
  failOver(port: number): Promise<void>
}

const NAME = 'mymaster'
const SETTINGS = { 'down-after-milliseconds': 800, 'failover-timeout': 3_000 }
/** How often they ask and tell each other, ms. A replica that said nothing for five pings, or three of the other, is not made
 * master, and while one is chosen each is asked every second. */
const PACE = { 'info-period': 600, 'ping-period': 400, 'ask-period': 100, 'publish-period': 100 }

/** To be called once, where `hasRedis`, at the top of a test file. It is gone at the end of the file. */
export async function testSentinels(certificate?: TestCertificate): Promise<TestSentinels> {
  const master = await testRedis({ 'repl-diskless-sync-delay': 0 }, certificate)
  const replica = await testRedis({ replicaof: `127.0.0.1 ${master.port}` }, certificate)
  const sentinels = await Promise.all([1, 2, 3].map(() => testRedis({}, certificate, 'sentinel')))
  const ready = watch(sentinels, master, certificate)
  // told to whoever waits for it
  ready.catch(() => undefined)
  const places = [await freePort(), ...sentinels.map(({ port }) => port)].map((port) => `127.0.0.1:${port}`)
  const servers = [master, replica] as const
  const each = (ask: (client: Redis) => Promise<void>): Promise<void> => askEach(sentinels, certificate, ask)
  return {
    url: `${certificate ? 'rediss' : 'redis'}+sentinel://${places.join(',')}/${NAME}`,
    ...{ sentinels, servers, ready },
    newMaster: (port) => each((client) => until(client, port, () => pause(50))),
    async failOver(port) {
      const [one] = sentinels
      // refused until they know a replica that is well, and while it is under way
      const order = async (client: Redis) => {
        await client.call('SENTINEL', 'FAILOVER', NAME).catch(() => undefined)
        await pause(100)
      }
      await replicates(
        servers.find((server) => server.port === port)!,
        certificate,
      )
      await askEach([one!], certificate, (client) => until(client, port, () => order(client)))
      await replicates(
        servers.find((server) => server.port !== port)!,
        certificate,
      )
    },
  }
}

/** One that has nothing yet would be made master all the same. */
async function replicates(server: TestRedis, certificate?: TestCertificate): Promise<void> {
  await askEach([server], certificate, async (client) => {
    while (!(await client.info('replication')).includes('link_status:up')) await pause(50)
  })
}

/** Until that is the master's port. */
async function until(client: Redis, port: number, turn: () => Promise<void>): Promise<void> {
  const asked = async () => (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[]
  while ((await asked())[1] !== String(port)) await turn()
}

async function watch(sentinels: readonly TestRedis[], master: TestRedis, certificate?: TestCertificate): Promise<void> {
  await askEach(sentinels, certificate, async (client) => {
    await client.call('SENTINEL', 'DEBUG', ...Object.entries(PACE).flat())
    await client.call('SENTINEL', 'MONITOR', NAME, '127.0.0.1', master.port, 2)
    await client.call('SENTINEL', 'SET', NAME, ...Object.entries(SETTINGS).flat())
    for (let known = ''; !/num-slaves,1,.*num-other-sentinels,2,/.test(known);) {
      await pause(50)
      known = String(await client.call('SENTINEL', 'MASTER', NAME))
    }
  })
}

async function askEach(
  sentinels: readonly TestRedis[],
  certificate: TestCertificate | undefined,
  ask: (client: Redis) => Promise<void>,
): Promise<void> {
  const clients = sentinels.map(
    ({ url }) => new Redis(url, { enableReadyCheck: false, ...(certificate && { tls: { ca: certificate.ca } }) }),
  )
  try {
    await Promise.all(clients.map(ask))
  } finally {
    for (const client of clients) client.disconnect()
  }
}
