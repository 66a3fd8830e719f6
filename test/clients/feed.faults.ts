/** The client package when a server process is drained, killed, frozen, and its sockets are cut: whoever follows has the whole history, once. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { setTimeout as pause } from 'node:timers/promises'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, expect, onTestFinished, test } from 'vitest'
import { createFeed, executionFeed } from '../../clients/feed/feed.ts'
import type { GetToken } from '../../clients/feed/feed.ts'
import { signIn } from '../../clients/feed/session.ts'
import type { Session } from '../../clients/feed/session.ts'
import { overSse } from '../../clients/feed/sse.ts'
import { overWebSocket } from '../../clients/feed/websocket.ts'
import { ACCESS_TOKEN_MS, createTokens } from '../../src/identity/tokens.ts'
import { decodeId } from '../../src/ids.ts'
import { startCutProxy } from '../harness/cut-proxy.ts'
import { dataDirectory, startServerProcess } from '../harness/server-process.ts'
import type { ServerProcess } from '../harness/server-process.ts'
import { approve, follow, historyOf, JWT_SECRET, startOf } from './running-server.ts'

const WAYS = [
  { way: 'WebSocket', over: overWebSocket },
  { way: 'server-sent events', over: overSse },
]
const FOLLOWERS = 20
const CUTS = 50
/** One short wait after the other: it goes on for longer than all the cuts. */
const STEPS = 60
const WAITS = {
  version: 1,
  name: 'many_waits',
  steps: Object.fromEntries(
    Array.from({ length: STEPS }, (_, at) => [
      `wait_${at}`,
      { type: 'wait', duration: 'PT0.1S', ...(at > 0 && { after: [`wait_${at - 1}`] }) },
    ]),
  ),
}
const EXPENSIVE = { feature_name: 'Live dashboards', estimated_cost: 2_000_000 }

let dataDir: string
let server: ServerProcess
let session: Session
let url: string
const launch = (port: string): Promise<ServerProcess> =>
  startServerProcess(dataDir, { PORT: port, SLUICE_JWT_SECRET: JWT_SECRET, SLUICE_LIMIT_SIGN_IN_PER_MINUTE: '1000' })
/** At the same address. */
async function restart(signal: NodeJS.Signals): Promise<void> {
  await server.end(signal)
  server = await launch(new URL(server.url).port)
}

beforeAll(async () => {
  dataDir = await dataDirectory()
  server = await launch('0')
  url = `${server.url}/graphql`
  const password = (await readFile(join(dataDir, 'admin-password'), 'utf8')).trim()
  session = await signIn({ url }, { email: 'admin@sluice.local', password })
  await session.run('mutation ($definition: JSON!) { createFlow(input: { definition: $definition }) { __typename } }', {
    definition: WAITS,
  })
}, 180_000)

const follower = (id: string, over: typeof overSse, options: { at?: string; token?: GetToken; heartbeatMs?: number } = {}) => {
  const { at = url, token = session.token, heartbeatMs = 15_000 } = options
  const retry = { firstMs: 20, longestMs: 300 }
  const one = follow(
    createFeed({ transport: over({ url: at, token }), kind: executionFeed, variables: { id }, retry, heartbeatMs }),
  )
  onTestFinished(one.stop)
  return one
}

test(
  `${FOLLOWERS} followers, each cut off ${CUTS} times, by a server that is drained and one that is killed too, have the history that is stored`,
  { timeout: 180_000 },
  async () => {
    const id = await startOf(session)('many_waits', {})
    const proxies = await Promise.all(Array.from({ length: FOLLOWERS }, () => startCutProxy(url)))
    const followers = proxies.map((proxy, at) => follower(id, WAYS[at % 2]!.over, { at: `${proxy.url}/graphql` }))
    let running = true
    const cutting = proxies.map(async ({ cut }) => {
      for (let cuts = 0; cuts < CUTS && running; cuts++) {
        await pause(Math.random() * 300)
        cut()
      }
    })
    await pause(1_500)
    await restart('SIGTERM')
    await pause(1_500)
    await restart('SIGKILL')
    await Promise.all(cutting)
    const states = await Promise.all(followers.map(({ until }) => until(({ status }) => status === 'ended')))
    running = false
    const history = await historyOf(session, id)
    expect(history.length).toBeGreaterThan(2 * STEPS)
    for (const { view, ending, gaps } of states) {
      expect(ending).toEqual({ reason: 'FINISHED', errors: [] })
      expect(JSON.stringify(view.events)).toBe(JSON.stringify(history))
      expect(gaps).toEqual([])
      expect(view.execution?.status).toBe('SUCCEEDED')
    }
  },
)

test.each(WAYS)(
  'a server that is frozen is noticed, and followed again when it is back, over $way',
  { timeout: 180_000 },
  async ({ over }) => {
    const id = await startOf(session)('feature_approval', EXPENSIVE)
    const { until, statuses } = follower(id, over, { heartbeatMs: 400 })
    await until(({ view }) => view.execution?.status === 'WAITING')
    server.process.kill('SIGSTOP')
    await until(({ status }) => status === 'stale')
    await until(({ status }) => status === 'resuming')
    await pause(2_000)
    server.process.kill('SIGCONT')
    await until(({ status }) => status === 'live')
    expect(statuses.slice(0, 4)).toEqual(['resuming', 'live', 'stale', 'resuming'])
    await approve(session, id)
    const { view } = await until(({ status }) => status === 'ended')
    expect(view.events).toEqual(await historyOf(session, id))
  },
)

test.each(WAYS)(
  'a token that ends while its feed runs is replaced, and nothing is missed, over $way (B11)',
  { timeout: 180_000 },
  async ({ over }) => {
    const id = await startOf(session)('feature_approval', EXPENSIVE)
    const { sub, sid } = JSON.parse(Buffer.from((await session.token(false)).split('.')[1]!, 'base64url').toString()) as {
      sub: string
      sid: string
    }
    // has three to four seconds left
    const nearlyOver = createTokens({ signing: JWT_SECRET }, { now: () => Date.now() - ACCESS_TOKEN_MS + 4_000 })
    const asked: boolean[] = []
    const token: GetToken = async (expired) => {
      asked.push(expired)
      if (expired) return session.token(false)
      return (await nearlyOver.issue(decodeId('user', sub)!, decodeId('session', sid)!)).accessToken
    }
    const { until, statuses } = follower(id, over, { token })
    await until(({ status }) => status === 'live')
    const { problem } = await until(({ status }) => status === 'resuming')
    expect(problem).toBe('TOKEN_EXPIRED')
    await until(({ status }) => status === 'live')
    expect([asked, statuses]).toEqual([
      [false, true],
      ['resuming', 'live', 'resuming', 'live'],
    ])
    await approve(session, id)
    const { view } = await until(({ status }) => status === 'ended')
    expect(view.events).toEqual(await historyOf(session, id))
  },
)

test(
  'beside a development server `sluice watch` needs nothing but the id: lines into a pipe, and 0 in the end',
  { timeout: 180_000 },
  async () => {
    const id = await startOf(session)('feature_approval', EXPENSIVE)
    const main = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
    const env = { PATH: process.env['PATH'], PORT: new URL(server.url).port, SLUICE_DATA_DIR: dataDir }
    const child = spawn(process.execPath, [main, 'watch', id], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    onTestFinished(() => void child.kill())
    let said = ''
    for await (const part of child.stdout) {
      if (!said.includes('agent.asked') && (said += String(part)).includes('agent.asked')) await approve(session, id)
      else said += String(part)
    }
    expect(child.exitCode ?? (await once(child, 'exit'))[0]).toBe(0)
    expect(said).toMatch(/^[\d:.]+ +execution\.started\n[^]*\nSUCCEEDED after .*\n$/)
  },
)
