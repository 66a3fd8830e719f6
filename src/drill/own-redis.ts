/** A Redis of the drill's own, where the machine has a `redis-server`: on a free port of loopback, and empty after each start. */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'

export interface OwnRedis {
  readonly url: string
  /** SIGKILL: everything in it is gone. */
  kill(): Promise<void>
  start(): Promise<void>
}

export const hasRedisServer = (): boolean => spawnSync('redis-server', ['--version']).status === 0

/** In the directory of the drill, for the next one when this one is killed. */
export const REDIS_PID = 'redis.pid'

/** `directory`: where it works; it keeps nothing. */
export async function startOwnRedis(directory: string): Promise<OwnRedis> {
  const port = await freePort()
  let server: ChildProcess | undefined
  const redis: OwnRedis = {
    url: `redis://127.0.0.1:${port}`,
    async start() {
      const settings = {
        port,
        bind: '127.0.0.1',
        dir: directory,
        save: '',
        appendonly: 'no',
        pidfile: join(directory, REDIS_PID),
      }
      const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
      server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
      let said = ''
      for await (const text of server.stdout!) {
        said += String(text)
        if (said.includes('Ready to accept connections')) return
      }
      throw new Error(`redis-server did not start: ${said.trim()}`)
    },
    async kill() {
      if (!server?.pid || server.exitCode !== null || server.signalCode !== null) return
      const gone = once(server, 'exit')
      server.kill('SIGKILL')
      await gone
    },
  }
  await redis.start()
  return redis
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1')
  await once(probe, 'listening')
  const { port } = probe.address() as AddressInfo
  probe.close()
  await once(probe, 'close')
  return port
}
