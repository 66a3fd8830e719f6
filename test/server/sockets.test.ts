/** The one loop over all sockets: silent ones, expired and revoked tokens. Time is the test's. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { WebSocket } from 'ws'
import type { Authentication } from '../../src/identity/authenticate.ts'
import { createLog } from '../../src/log.ts'
import { createWebSocketDoor } from '../../src/server/websocket-door.ts'
import { principal } from './test-server.ts'

beforeEach(() => void vi.useFakeTimers({ toFake: ['Date', 'setInterval'] }))
afterEach(() => void vi.useRealTimers())

async function open({ answersPings = true } = {}) {
  let authentication: Authentication = { ok: true, principal: principal('USER', Date.now() + 60_000) }
  const door = createWebSocketDoor({
    schema: new GraphQLSchema({ query: new GraphQLObjectType({ name: 'Query', fields: { hello: { type: GraphQLString } } }) }),
    answer: async () => ({ data: {} }),
    authenticate: async () => authentication,
    allowsOrigin: () => true,
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
  const socket = new WebSocket(`ws://127.0.0.1:${port}/graphql`, 'graphql-transport-ws', { autoPong: answersPings })
  await once(socket, 'open')
  socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization: 'Bearer any' } }))
  await once(socket, 'message')
  const closed = once(socket, 'close').then(([code]) => code as number)
  return { door, socket, closed, authenticateAs: (next: Authentication) => (authentication = next) }
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

test('a quiet socket whose token is revoked is closed 4401 when it is checked again (B11)', async () => {
  const { door, closed, authenticateAs } = await open()
  authenticateAs({ ok: false, reason: 'REVOKED' })
  await door.sweep()
  expect(door.sockets()).toBe(1)
  after(10_000)
  await door.sweep()
  expect(await closed).toBe(4401)
})

test('a quiet socket whose token expires is closed 4403 (B11)', async () => {
  const { door, closed } = await open()
  after(60_000)
  await door.sweep()
  expect(await closed).toBe(4403)
})

test('closing the door tells every socket 1012', async () => {
  const { door, closed } = await open()
  await door.close()
  expect(await closed).toBe(1012)
})
