/** Somebody with a password of Redis writes what they like: nobody sees more by it, nothing changes, nobody dies, memory stays what it is. */
import { setImmediate as turn } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { afterAll, describe, expect, test } from 'vitest'
import { ask } from '../../clients/agent/ask.ts'
import { decodeId } from '../../src/ids.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { runningServer } from '../clients/running-server.ts'

const redis = hasRedis ? await testRedis() : undefined
const signal = AbortSignal.timeout(120_000)

describe.skipIf(!redis)('forged messages in Redis', async () => {
  if (!redis) return
  const { url, session, start } = await runningServer({ REDIS_URL: redis.url, SLUICE_LIMIT_RUNNING_PER_INITIATOR: '1000' })
  const attacker = new Redis(redis.url)
  afterAll(() => attacker.disconnect())
  const ring = (rings: unknown, from: unknown = 'somebody'): Promise<number> =>
    attacker.publish('sluice:bus', JSON.stringify({ from, rings }))

  async function newAgent(): Promise<{ id: string; secret: string }> {
    const { createApiKey } = await session.run<{ createApiKey: { secret: string; apiKey: { id: string } } }>(
      `mutation { createApiKey(input: { name: "agent", scopes: [REQUESTS_ANSWER], agentRoles: ["cto"] }) {
        ... on CreateApiKeySuccess { secret apiKey { id } } } }`,
    )
    return { id: createApiKey.apiKey.id, secret: createApiKey.secret }
  }
  const executions = (ids: readonly string[]) =>
    session.run<{ nodes: { status: string; lastSeq: number; events: { seq: number }[] }[] }>(
      `query ($ids: [ID!]!) { nodes(ids: $ids) { ... on Execution { status lastSeq events { seq } } } }`,
      { ids },
    )

  test('what no server said is not even read, however long it is', async () => {
    const before = process.memoryUsage.rss()
    for (const text of [
      '',
      '{',
      'null',
      '[]',
      '"x"',
      '{"from":{},"rings":[]}',
      '{"from":"a","rings":[[{}],[1,2]]}',
      `{"__proto__":{"from":"a"}}`,
    ])
      await attacker.publish('sluice:bus', text)
    const long = JSON.stringify({ from: 'a', rings: Array.from({ length: 1_000_000 }, () => ['executions']) })
    for (let times = 0; times < 5; times += 1) await attacker.publish('sluice:bus', long)
    // more than Redis keeps for who listens: it is cut off, and listens again
    await attacker.publish('sluice:bus', 'x'.repeat(40_000_000))
    await attacker.publish('workflow:agent_responses', 'x'.repeat(30_000_000))
    const id = await start('feature_approval', { feature_name: 'dark mode', estimated_cost: 1 })
    await expect.poll(async () => (await executions([id])).nodes[0]!.status).toBe('SUCCEEDED')
    await expect.poll(() => attacker.pubsub('NUMSUB', 'sluice:bus')).toEqual(['sluice:bus', 1])
    expect(process.memoryUsage.rss() - before).toBeLessThan(400_000_000)
  })

  test('a flood of rings for everything there is: executions end, rights end within their second, feeds show whom they may', async () => {
    const { id: keyId, secret } = await newAgent()
    const waiting = await start('feature_approval', { feature_name: 'moon base', estimated_cost: 2_000_000 })
    const uuid = decodeId('execution', waiting)!
    const topics = [
      'executions',
      'agent-requests',
      'auth',
      'audit',
      'word',
      'steps',
      'work',
      'triggers',
      'schedules',
      'deliveries',
      'work:peers',
    ]
    const payloads = [undefined, '', '9007199254740993', '-1', 'NaN', '__proto__', '["x",true,"default"]', uuid, waiting]
    const all = [...topics, `execution:${uuid}`, `ended:${uuid}`, `worker:${uuid}`].flatMap((topic) =>
      payloads.map((payload) => (payload === undefined ? [topic] : [topic, payload])),
    )
    let flooding = true
    let sent = 0
    const flood = (async () => {
      for (let at = 0; flooding; at += 1) {
        // forged workers, that have room and do not exist
        const peers = Array.from({ length: 50 }, (_, n) => ['work:peers', JSON.stringify([`${at}-${n}`, true, 'default'])])
        const start = (at * 50) % all.length
        sent += await ring([...all.slice(start, start + 50), ...peers], `somebody ${at}`)
        if (at % 20 === 0) await turn()
      }
    })()
    const before = process.memoryUsage.rss()
    const ids = await Promise.all(
      Array.from({ length: 20 }, (_, at) => start('feature_approval', { feature_name: `${at}`, estimated_cost: 1 })),
    )
    const ended = async () => (await executions(ids)).nodes
    await expect
      .poll(async () => new Set((await ended()).map(({ status }) => status)), { timeout: 30_000 })
      .toEqual(new Set(['SUCCEEDED']))
    for (const { lastSeq, events } of await ended())
      expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: lastSeq }, (_, at) => at + 1))

    // an agent of another role is shown nothing of what the ceo is asked, nor the execution
    const agent = { url, apiKey: secret }
    const seen = await ask<object>(
      agent,
      `query ($id: ID!) { node(id: $id) { id } agentRequests { edges { node { id } } } }`,
      { id: waiting },
      signal,
    )
    expect(seen).toEqual({ node: null, agentRequests: { edges: [] } })
    await session.run('mutation ($id: ID!) { revokeApiKey(input: { id: $id }) { __typename } }', { id: keyId })
    const revoked = performance.now()
    await expect
      .poll(() => ask(agent, '{ agentMessageKey }', {}, signal).catch((error: { code: string }) => error.code), {
        timeout: 10_000,
      })
      .toBe('UNAUTHENTICATED')
    // 1 s on a machine that does nothing else
    expect(performance.now() - revoked).toBeLessThan(5_000)
    // the attacker shares its processor with the server: however long that takes
    await expect.poll(() => sent, { timeout: 60_000 }).toBeGreaterThan(100)
    flooding = false
    await flood
    expect(process.memoryUsage.rss() - before).toBeLessThan(400_000_000)
    expect((await executions([waiting])).nodes[0]!.status).toBe('WAITING')
  })

  test('keys of limits and locks that somebody wrote keep nobody out for longer than a window (B3)', async () => {
    const { secret } = await newAgent()
    const agent = { url, apiKey: secret }
    await ask(agent, '{ agentMessageKey }', {}, signal)
    const keys = await attacker.keys('sluice:limit:*')
    expect(keys.length).toBeGreaterThan(0)
    for (const key of keys) await attacker.set(key, '99999999')
    await ask(agent, '{ agentMessageKey }', {}, signal)
    for (const key of keys) await attacker.multi().del(key).rpush(key, 'x').exec()
    await ask(agent, '{ agentMessageKey }', {}, signal)
  })
})
