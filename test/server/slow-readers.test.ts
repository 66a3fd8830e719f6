/** A reader that takes nothing holds its own feed up, and nobody else; of what it leaves little is kept. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { GraphQLObjectType, GraphQLSchema, GraphQLString } from 'graphql'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { Member } from '../../src/live/member.ts'
import type { Sink } from '../../src/live/member.ts'
import { followOnSocket } from '../../src/server/websocket-feed.ts'
import { openApiPort } from '../../src/server/api-port.ts'
import { post, principal, RawSocket, serve } from './test-server.ts'

/** A feed on a socket, and the client's end of it. */
async function opened() {
  const http = createServer()
  const sockets = new WebSocketServer({ noServer: true })
  const shaken = Promise.withResolvers<{ socket: WebSocket; stream: Duplex }>()
  http.on('upgrade', (request, stream, head) =>
    sockets.handleUpgrade(request, stream, head, (socket) => shaken.resolve({ socket, stream })),
  )
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const { port } = http.address() as AddressInfo
  const connection = connect({ port, host: '127.0.0.1' })
  const client = new WebSocket(`ws://127.0.0.1:${port}`, { createConnection: () => connection })
  onTestFinished(() => {
    client.terminate()
    http.close()
  })
  await once(client, 'open')
  const { socket, stream } = await shaken.promise

  let given: Sink<string> | undefined
  followOnSocket({ follow: (sink) => ((given = sink), () => undefined) }, '1', { socket, stream }, (error) => error as Error)
  const sink = given!
  const fill = () => {
    client.pause()
    for (let sent = 0; sent < 100 && !sink.congested(); sent += 1) sink.send(JSON.stringify('x'.repeat(1_000_000)), 'c')
    expect(sink.congested()).toBe(true)
  }
  return { client, connection, stream, sink, fill }
}

test('what a reader has not taken holds it up until it has, and not once its connection is destroyed', async () => {
  const { client, stream, sink, fill } = await opened()
  fill()
  client.resume()
  await sink.drained()
  expect(sink.congested()).toBe(false)

  fill()
  stream.destroy()
  // at once: whoever waits looks again before anything else happens
  expect(sink.congested()).toBe(false)
})

test('a reader that says it sends no more and takes nothing is waited for, and the process goes on meanwhile (B15)', async () => {
  const { connection, stream, sink, fill } = await opened()
  fill()
  const ended = once(stream, 'end')
  connection.end()
  await ended
  let resolved = false
  void sink.drained().then(() => (resolved = true))
  await setImmediate()
  expect(resolved && sink.congested()).toBe(false)

  const ready = new Member(sink, principal(), undefined).ready()
  // a wait that looks again and again would let no timer fire
  await setTimeout(1)
  stream.destroy()
  await ready
  expect(sink.congested()).toBe(false)
})

const LARGE = 9_900_000
const schema = new GraphQLSchema({
  query: new GraphQLObjectType({
    name: 'Query',
    fields: {
      large: { type: GraphQLString, resolve: () => 'x'.repeat(LARGE) },
      late: { type: GraphQLString, resolve: () => setTimeout(200, 'late') },
    },
  }),
})

test('of an answer over HTTP that nobody takes nothing is kept after 30 seconds; a late answer is given all the same (B15)', async () => {
  const at = await openApiPort({ host: '127.0.0.1', port: 0 }, () => ({ waitingFor: [], without: [] }))
  expect(at.server.timeout).toBe(30_000)
  at.server.timeout = 50
  const { url } = await serve({ at, schema })
  const socket = connect({ port: at.port, host: '127.0.0.1' })
  onTestFinished(() => void socket.destroy())
  const accepted = once(at.server, 'connection') as Promise<[Socket]>
  const body = JSON.stringify({ query: '{ large }' })
  socket.write(
    `POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
  )
  socket.pause()
  const [kept] = await accepted
  await once(kept, 'close')
  expect((await post(url, '{ late }')).data).toEqual({ late: 'late' })
})

test('messages of a socket that takes no answers wait; one that asks for many large ones at once is ended (B15)', async () => {
  const at = await openApiPort({ host: '127.0.0.1', port: 0 }, () => ({ waitingFor: [], without: [] }))
  const { socketUrl } = await serve({ at, schema })
  const accepted = once(at.server, 'connection') as Promise<[Socket]>
  const pinging = await new RawSocket(socketUrl).open()
  const [stream] = await accepted
  pinging.socket.pause()
  const payload = { x: 'x'.repeat(60_000) }
  // what the kernel takes is not ours: many times what may wait
  for (let sent = 0; sent < 1_000 && !stream.isPaused(); sent += 1) {
    pinging.send({ type: 'ping', payload })
    // at most 200 messages a second are heard
    await setTimeout(6)
  }
  expect(stream.isPaused()).toBe(true)
  expect(stream.writableLength).toBeLessThan(1_000_000)
  pinging.socket.resume()
  await expect.poll(() => stream.isPaused()).toBe(false)

  const asking = once(at.server, 'connection') as Promise<[Socket]>
  const greedy = await new RawSocket(socketUrl).open()
  const [other] = await asking
  const closed = once(other, 'close')
  greedy.socket.pause()
  for (let id = 0; id < 10; id += 1) greedy.subscribe(String(id), '{ large }')
  await closed
})
