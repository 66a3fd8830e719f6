/** The bus when Redis dies, hangs, or never was there: nobody waits for it, nothing grows, and it goes on when Redis is back. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { createRedisBus } from '../../src/fleet/redis-bus.ts'
import type { RedisBus } from '../../src/fleet/redis-bus.ts'
import { connectRedis } from '../../src/fleet/redis-connection.ts'
import { createLog } from '../../src/log.ts'
import { hasRedis } from '../harness/has-redis.ts'
import { testRedis } from '../harness/redis.ts'
import { untilHeard } from '../harness/until-heard.ts'

const LOST = /^the bus lost Redis/
const BACK = /^the bus has Redis again$/
const server = hasRedis ? await testRedis() : undefined

async function open(url: string) {
  const lines: { msg: string }[] = []
  const log = createLog('info', { write: (line) => void lines.push(JSON.parse(line)) })
  const redis = await connectRedis(url, log)
  const bus = createRedisBus({ redis, log })
  onTestFinished(async () => {
    await bus.close()
    redis.close()
  })
  return { bus, redis, said: (message: RegExp): number => lines.filter(({ msg }) => message.test(msg)).length, lines }
}

/** Heard in the process that rang. */
async function heardHere(bus: RedisBus): Promise<void> {
  await new Promise<void>((resolve) => {
    bus.listen('here', () => resolve())
    bus.ring('here')
  })
}

describe.skipIf(!hasRedis)('the bus over Redis', () => {
  test('rings on in its own process while Redis is dead, and in the others when it is back; told once each', async () => {
    const one = await open(server!.url)
    const two = await open(server!.url)
    await Promise.all([one.bus.listening(), two.bus.listening()])
    await untilHeard(one.bus, two.bus)

    await server!.stop()
    for (let times = 0; times < 20; times += 1) await heardHere(one.bus)
    for (const { said } of [one, two]) await expect.poll(() => said(LOST)).toBe(1)

    await server!.start()
    await untilHeard(one.bus, two.bus)
    await untilHeard(two.bus, one.bus)
    for (const { said } of [one, two]) {
      await expect.poll(() => said(BACK)).toBe(1)
      expect(said(LOST)).toBe(1)
      expect(said(/^Redis cannot be reached$/)).toBeLessThanOrEqual(1)
    }
  })

  test('gives up a Redis that hangs before what it was sent grows, and goes on when it answers again', async () => {
    const { bus, redis, said } = await open(server!.url)
    const peer = await open(server!.url)
    await Promise.all([bus.listening(), peer.bus.listening()])
    server!.pause()
    onTestFinished(() => server!.resume())
    const payload = 'x'.repeat(1_000)
    let rung = 0
    while (redis.client!.status === 'ready') {
      for (let times = 0; times < 1_000; times += 1) bus.ring(`execution:${rung++}`, payload)
      await heardHere(bus)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    expect(said(LOST)).toBe(1)
    // what it was rung meanwhile is not kept for later
    let late = 0
    peer.bus.listen('late', () => (late += 1))
    for (let times = 0; times < 100; times += 1) bus.ring('late', String(times))
    await heardHere(bus)
    server!.resume()
    await untilHeard(bus, peer.bus)
    expect(late).toBe(0)
    expect(said(LOST)).toBe(1)
    expect(said(BACK)).toBe(1)
  })

  test('notices within seconds that what it listens to hangs, also where nothing is rung', async () => {
    const { bus, said } = await open(server!.url)
    await bus.listening()
    server!.pause()
    onTestFinished(() => server!.resume())
    await expect.poll(() => said(LOST), { timeout: 15_000 }).toBe(1)
    server!.resume()
    await expect.poll(() => said(BACK), { timeout: 5_000 }).toBe(1)
  })

  test('is there without a Redis, says so once and keeps the password to itself', async () => {
    const { bus, said, lines } = await open('redis://:a-secret-password@127.0.0.1:1')
    for (let times = 0; times < 20; times += 1) await heardHere(bus)
    expect(said(LOST)).toBe(1)
    expect(JSON.stringify(lines)).not.toContain('a-secret-password')
  })
})
