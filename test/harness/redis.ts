/** A Redis of a test file's own: Debian's `redis-server` on a free port of loopback, which a test may stop, pause and start again. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll } from 'vitest'
import { freePort } from './free-port.ts'
import type { TestCertificate } from './test-certificate.ts'

export interface TestRedis {
  readonly url: string
  readonly port: number
  /** Kills it, with everything in it. */
  stop(): Promise<void>
  /** On the same port, empty. */
  start(): Promise<void>
  /** It keeps its connections and does not answer. */
  pause(): void
  resume(): void
}

const ROLES = {
  server: { first: [], ready: 'Ready to accept connections', keep: { save: '', appendonly: 'no' } },
  sentinel: { first: ['conf', '--sentinel'], ready: 'Sentinel ID is', keep: {} },
}

/** To be called once, where `hasRedis`, at the top of a test file. It is gone at the end of the file. */
export async function testRedis(
  more: Readonly<Record<string, string | number>> = {},
  certificate?: TestCertificate,
  role: 'server' | 'sentinel' = 'server',
): Promise<TestRedis> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
  const port = await freePort()
  const { first, ready, keep } = ROLES[role]
  let server: ChildProcess | undefined

  async function start(): Promise<void> {
    const listens = certificate ? { port: 0, 'tls-port': port, ...tlsOf(certificate) } : { port }
    const settings = { ...listens, bind: '127.0.0.1', dir: directory, ...keep, ...more }
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
    // a sentinel writes down what it knows
    if (role === 'sentinel') await writeFile(join(directory, 'conf'), '')
    server = spawn('redis-server', [...first, ...args], { cwd: directory, stdio: ['ignore', 'pipe', 'inherit'] })
    let said = ''
    for await (const text of server.stdout!) {
      said += String(text)
      if (said.includes(ready)) break
    }
    if (!said.includes(ready)) throw new Error(`redis-server did not start:\n${said}`)
  }

  async function stop(): Promise<void> {
    if (!server || server.exitCode !== null || server.signalCode !== null) return
    const ended = once(server, 'exit')
    server.kill('SIGKILL')
    await ended
  }

  afterAll(async () => {
    await stop()
    await rm(directory, { recursive: true, force: true })
  })
  await start()
  return {
    url: `${certificate ? 'rediss' : 'redis'}://127.0.0.1:${port}`,
    port,
    start,
    stop,
    pause: () => void server?.kill('SIGSTOP'),
    resume: () => void server?.kill('SIGCONT'),
  }
}

/** Nodes of a cluster speak it with each other too. */
const tlsOf = ({ certFile, keyFile }: TestCertificate): Record<string, string> => ({
  ...{ 'tls-cert-file': certFile, 'tls-key-file': keyFile, 'tls-ca-cert-file': certFile },
  ...{ 'tls-auth-clients': 'no', 'tls-replication': 'yes', 'tls-cluster': 'yes' },
})
