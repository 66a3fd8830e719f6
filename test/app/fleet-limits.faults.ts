/** Two servers, each a process of its own, on one database and one Redis: what they limit together, and what alone. */
import { describe, expect, test } from 'vitest'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import { testDatabase } from '../harness/test-database.ts'

const PER_MINUTE = 20

const ask = async (url: string): Promise<number> => {
  const body = JSON.stringify({ query: '{ viewer { id } }' })
  const answer = await fetch(`${url}/graphql`, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  await answer.arrayBuffer()
  return answer.status
}

const directories = [await dataDirectory(), await dataDirectory()] as const
const { env } = await testDatabase()
const redis = hasRedis ? await testRedis() : undefined

describe.skipIf(!hasRedis)('a fleet', () => {
  test('has one limit whatever the number of its processes, and each its own while Redis is away (B3)', async () => {
    const settings = { ...env, REDIS_URL: redis!.url, SLUICE_LIMIT_API_PER_MINUTE: String(PER_MINUTE), SLUICE_LOG_LEVEL: 'info' }
    const one = await startServerProcess(directories[0], settings)
    const two = await startServerProcess(directories[1], settings)
    const servers = [one, two]

    // one by one: a machine that is busy with sixty at once would take Redis to be away
    const together = []
    for (let at = 0; at < 3 * PER_MINUTE; at++) together.push(await ask(servers[at % 2]!.url))
    expect(together.filter((status) => status === 200)).toHaveLength(PER_MINUTE)

    await redis!.stop()
    for (const { url } of servers) {
      const alone = []
      // what was refused a moment ago is remembered for a second
      while (alone.at(-1) !== 200) alone.push(await ask(url))
      for (let at = 0; at < 2 * PER_MINUTE; at++) alone.push(await ask(url))
      expect(alone.filter((status) => status === 200)).toHaveLength(PER_MINUTE)
    }
    for (const server of servers) {
      expect(server.output().split('Redis is away: limits').length - 1).toBe(1)
      expect(await server.end('SIGTERM')).toBe(0)
    }
  })
})
