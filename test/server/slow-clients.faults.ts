/** Clients that take their time to keep a connection (slow loris). It takes as long as they are given. */
import { connect } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import { post, serve } from './test-server.ts'

test('headers have 10 seconds, a whole request 30, however steadily their bytes drip (B15)', async () => {
  const { url } = await serve()

  /** Sends `first`, then a byte of `drip` each second; the answer and how long it took. */
  async function dripping(first: string, drip: string) {
    const startedAt = performance.now()
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    const timer = setInterval(() => socket.write(drip), 1_000)
    onTestFinished(() => (clearInterval(timer), void socket.destroy()))
    socket.on('error', () => undefined)
    socket.write(first)
    let reply = ''
    for await (const chunk of socket) reply += String(chunk)
    clearInterval(timer)
    return { reply, seconds: (performance.now() - startedAt) / 1_000 }
  }

  const POST = 'POST /graphql HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n'
  const [headers, body, ...many] = await Promise.all([
    dripping(`${POST}x-a: `, 'b'),
    dripping(`${POST}content-length: 1000\r\n\r\n{`, ' '),
    ...Array.from({ length: 100 }, () => dripping(`${POST}x-a: `, 'b')),
  ])
  for (const { reply, seconds } of [headers, ...many]) {
    expect(reply).toContain('REQUEST_TIMEOUT')
    expect(seconds).toBeLessThan(20)
  }
  expect(headers.seconds).toBeGreaterThan(9)
  expect(body.reply).toContain('REQUEST_TIMEOUT')
  expect(body.seconds).toBeGreaterThan(29)
  expect(body.seconds).toBeLessThan(45)
  expect((await post(url, '{ hello }')).data).toEqual({ hello: 'world' })
})
