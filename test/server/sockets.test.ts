/** The one loop over all sockets: silent ones, expired and revoked tokens. Time is the test's. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { AuthListener, AuthSubject } from '../../src/identity/auth-changes.ts'
import type { Principal } from '../../src/identity/principal.ts'
import { newUuid } from '../../src/ids.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { createLog } from '../../src/log.ts'
import { createRequestLimits } from '../../src/server/request-limits.ts'
import { createWebSocketDoor } from '../../src/server/websocket-door.ts'
import { principal } from './test-server.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setInterval'] }))
afterEach(() => void vi.useRealTimers())

async function open({ answersPings = true } = {}) {
  const me = principal('USER', Date.now() + 60_000)
  const listeners = new Set<AuthListener>()
  let renewed: Principal | undefined | Error
  const door = createWebSocketDoor({
    onAuthChange: (listener) => (listeners.add(listener), () => void listeners.delete(listener)),
    async renewPrincipals(principals) {
      if (renewed instanceof Error) throw renewed
      return principals.map(() => renewed as Principal | undefined)
    },
    schema: new GraphQLSchema({ query: new GraphQLObjectType({ name: 'Query', fields: { hello: { type: GraphQLString } } }) }),
    answer: async () => ({ data: {} }),
    authenticate: async () => ({ ok: true, principal: me }),
    enter: async () => me,
    limits: createRequestLimits(createMemoryLimiter, 100),
    originOf: ({ socket }) => ({ ip: socket.remoteAddress }),
    allowsOrigin: () => true,
    maxSockets: 100,
    maxUnnamed: 100,
    noteRefusal: () => undefined,
    log: createLog('silent'),
  })
  const server = createServer()
    .on('upgrade', (request, socket, head) => door.upgrade(request, socket, head))
    .listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(async () => {
    await door.close()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const url = `ws://127.0.0.1:${port}/graphql`
  const socket = new WebSocket(url, 'graphql-transport-ws', { autoPong: answersPings })
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: 'Bearer any' } }))
  await once(socket, 'message')
  const closed = once(socket, 'close').then(([code]) => code as number)
  /** Something changes, and the socket's principal is now this; an error = nobody can tell. */
  const change = (subject: AuthSubject, now: typeof renewed) => {
    renewed = now
    for (const listener of listeners) listener(new Set([subject]))
  }
  return { door, url, socket, closed, me, change, answerAs: (now: typeof renewed) => (renewed = now) }
}

const after = (ms: number) => vi.setSystemTime(Date.now() + ms)

test('a socket that does not answer a ping is ended by the next', async () => {
  const { door, socket, closed } = await open({ answersPings: false })
  const pinged = once(socket, 'ping')
  after(15_000)
  await door.sweep()
  await pinged
  after(15_000)
  await door.sweep()
  expect(await closed).toBe(1006)
  expect(door.sockets()).toBe(0)
})

test('a socket that answers stays', async () => {
  const { door, socket } = await open()
  for (let round = 0; round < 3; round += 1) {
    const pinged = once(socket, 'ping')
    after(15_000)
    await door.sweep()
    await pinged
    // the pong is on its way before this answer
    socket.send(JSON.stringify({ type: 'ping' }))
    await once(socket, 'message')
  }
  expect(door.sockets()).toBe(1)
})

test('a quiet socket whose session, user or role is revoked is closed 4401 at once (B11)', async () => {
  const { closed, me, change } = await open()
  change(`session:${me.sessionId}`, undefined)
  expect(await closed).toBe(4401)
})

test('a change of somebody else, or one that leaves the principal in place, leaves the socket open (B11)', async () => {
  const { door, me, change } = await open()
  change(`user:${newUuid()}`, undefined)
  change(`user:${me.id}`, { ...me, role: 'VIEWER' })
  await door.sweep()
  expect(door.sockets()).toBe(1)
})

test('a socket that could not be asked about is asked about again by the next sweep (B11)', async () => {
  const { door, closed, me, change, answerAs } = await open()
  change(`user:${me.id}`, new Error('the database does not answer'))
  await door.sweep()
  expect(door.sockets()).toBe(1)
  answerAs(undefined)
  await door.sweep()
  expect(await closed).toBe(4401)
})

test('a quiet socket whose token expires is closed 4403 (B11)', async () => {
  const { door, closed } = await open()
  after(60_000)
  await door.sweep()
  expect(await closed).toBe(4403)
})

test('closing the door tells every socket 1012, and whoever comes after that too', async () => {
  const { door, closed, url } = await open()
  await door.close()
  expect(await closed).toBe(1012)
  expect((await once(new WebSocket(url, 'graphql-transport-ws'), 'close'))[0]).toBe(1012)
})
