/** A reader that takes nothing holds its own feed up, and nobody's when it is gone. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import type { Sink } from '../../src/live/member.ts'
import { followOnSocket } from '../../src/server/websocket-feed.ts'

test('what a reader has not taken holds it up until it has, and not once its connection is destroyed', async () => {
  const http = createServer()
  const sockets = new WebSocketServer({ noServer: true })
  const opened = Promise.withResolvers<{ socket: WebSocket; stream: Duplex }>()
  http.on('upgrade', (request, stream, head) =>
    sockets.handleUpgrade(request, stream, head, (socket) => opened.resolve({ socket, stream })),
  )
  http.listen(0, '127.0.0.1')
  await once(http, 'listening')
  const client = new WebSocket(`ws://127.0.0.1:${(http.address() as AddressInfo).port}`)
  onTestFinished(() => {
    client.terminate()
    http.close()
  })
  await once(client, 'open')
  const { socket, stream } = await opened.promise

  let sink: Sink<string> | undefined
  followOnSocket({ follow: (given) => ((sink = given), () => undefined) }, '1', { socket, stream }, (error) => error as Error)
  client.pause()
  for (let sent = 0; sent < 100 && !sink!.congested(); sent += 1) sink!.send(JSON.stringify('x'.repeat(1_000_000)), 'c')
  expect(sink!.congested()).toBe(true)
  client.resume()
  await sink!.drained()
  expect(sink!.congested()).toBe(false)

  client.pause()
  for (let sent = 0; sent < 100 && !sink!.congested(); sent += 1) sink!.send(JSON.stringify('x'.repeat(1_000_000)), 'c')
  expect(sink!.congested()).toBe(true)
  stream.destroy()
  // at once: whoever waits looks again before anything else happens
  expect(sink!.congested()).toBe(false)
})
