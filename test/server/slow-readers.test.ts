/** A reader that takes nothing holds its own feed up, and nobody's when it is gone. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { setImmediate, setTimeout } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { Member } from '../../src/live/member.ts'
import type { Sink } from '../../src/live/member.ts'
import { followOnSocket } from '../../src/server/websocket-feed.ts'
import { principal } from './test-server.ts'

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
