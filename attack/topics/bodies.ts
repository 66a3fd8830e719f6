/** Bodies that are too large, too deep, too wide, too slow, not what they say, or not JSON. */
import { connect } from 'node:net'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import type { Answer } from '../client.ts'
import type { Topic } from '../trial.ts'

const HELD_OPEN = 50
const MAX_WAIT_MS = 3_000
/** CPU time of the server that no body may cost. */
const CPU_MS = 3_000

const nest = (depth: number, open: string, close: string): string => open.repeat(depth) + close.repeat(depth)
const variables = (json: string): string =>
  `{"query":"mutation ($i: StartExecutionInput!) { startExecution(input: $i) { __typename ... on Problem { code } } }","variables":{"i":{"flow":"mine","input":${json}}}}`

const BOMBS: Record<string, string | Uint8Array<ArrayBuffer>> = {
  'brackets 100,000 deep': nest(100_000, '[', ']'),
  'objects 100,000 deep in an input': variables(`{"a":${nest(100_000, '{"a":', '}').replace('{"a":}', '{}')}}`),
  'lists 5,000 deep in an input': variables(`{"a":${nest(5_000, '[', ']')}}`),
  'a million keys': variables(`{${Array.from({ length: 300_000 }, (_, n) => `"k${n}":1`).join()}}`),
  'one key a hundred thousand times': variables(`{${'"k":1,'.repeat(100_000)}"k":2}`),
  'a list of a million': variables(`{"a":[${'0,'.repeat(1_000_000)}0]}`),
  'more than 1 MB of input': variables(`{"a":"${'x'.repeat(1_000_001)}"}`),
  'escapes that grow': variables(`{"a":"${'\\u0800'.repeat(400_000)}"}`),
  'numbers beyond numbers': variables(`{"a":1e999,"b":-1e999,"c":${'9'.repeat(10_000)}}`),
  'NUL and half characters': variables('{"a":"\\u0000","b":"\\ud800"}'),
  'bytes that are no UTF-8': Buffer.concat([
    Buffer.from('{"query":"{ viewer { id } } #'),
    Buffer.from([0xc3, 0x28, 0xff, 0xfe]),
    Buffer.from('"}'),
  ]),
  'cut JSON': '{"query":"{ viewer { id } }"',
  'two values': '{"query":"{ viewer { id } }"}{"query":"{ viewer { id } }"}',
  'a number': '42',
  'a list of lists': '[[[]]]',
  nothing: '',
  'a query that is no text': '{"query":{"toString":"x"}}',
  'variables that are text': '{"query":"{ viewer { id } }","variables":"{}"}',
}

export const bodies: Topic = {
  name: 'bodies',
  about: 'bombs of JSON, oversize, compressed, chunked, slow and lying bodies',
  async run({ world, quick, attempt }) {
    const { client, attacker, target } = world
    const { token } = attacker
    const head = (...lines: string[]): string =>
      ['POST /graphql HTTP/1.1', `host: 127.0.0.1:${target.port}`, 'content-type: application/json', ...lines, '', ''].join(
        '\r\n',
      )
    for (const [what, body] of Object.entries(BOMBS)) {
      await attempt(what, async () => {
        let answer: Answer | undefined
        const cpu = await target.cpuOf(async () => (answer = await client.send('', { token, body })))
        const { status, text, errors } = answer!
        if (status >= 500 || JSON.stringify(errors).includes('INTERNAL')) return `it answered ${status}: ${text.slice(0, 200)}`
        if (text.includes('StartExecutionSuccess') && !/list of a million|numbers beyond|one key|lists 5/.test(what))
          return 'it was taken'
        return cpu > CPU_MS ? `it took ${cpu} ms of CPU` : undefined
      })
    }
    await attempt('a body over 4 MB', async () => {
      const began = performance.now()
      const answer = await client.raw(`${head(`content-length: ${5 << 20}`)}${'x'.repeat(1_000)}`)
      if (!answer.startsWith('HTTP/1.1 413')) return answer.slice(0, 100) || 'no answer'
      return performance.now() - began > 5_000 ? 'it was waited for' : undefined
    })
    await attempt('chunks without end', async () => {
      const answer = await client.raw(`${head('transfer-encoding: chunked')}${`10000\r\n${'x'.repeat(0x10000)}\r\n`.repeat(80)}`)
      return /^HTTP\/1\.1 (411|413|400)/.test(answer) ? undefined : answer.slice(0, 100) || 'no answer'
    })
    await attempt('a compressed body', async () => {
      const body = gzipSync(Buffer.alloc(50_000_000, ' '))
      const { status } = await client.send('', { token, body, headers: { 'content-encoding': 'gzip' } })
      return status < 400 || status >= 500 ? `it answered ${status}` : undefined
    })
    await attempt(`${HELD_OPEN} bodies that never come, while others are served`, async () => {
      const sockets = Array.from({ length: HELD_OPEN }, () => connect(target.port, '127.0.0.1').on('error', () => undefined))
      await Promise.all(sockets.map((socket) => once(socket, 'connect')))
      for (const socket of sockets) socket.write(`${head('content-length: 1000')}{`)
      await sleep(200)
      const { ms, status } = await client.send('{ viewer { id } }', { token })
      for (const socket of sockets) socket.destroy()
      return status === 200 && ms < MAX_WAIT_MS ? undefined : `others waited ${ms.toFixed(0)} ms (${status})`
    })
    if (quick) return
    await attempt('a body that comes byte by byte is given up within 35 s', async () => {
      const socket = connect(target.port, '127.0.0.1').on('error', () => undefined)
      let received = ''
      socket.on('data', (text) => (received += String(text)))
      await once(socket, 'connect')
      socket.write(head('content-length: 1000'))
      const drip = setInterval(() => socket.write(' '), 500)
      const ended = await Promise.race([once(socket, 'close').then(() => true), sleep(35_000, false)])
      clearInterval(drip)
      socket.destroy()
      return ended ? undefined : `it is still open: ${received.slice(0, 50)}`
    })
    await attempt('headers that come byte by byte are given up within 15 s', async () => {
      const socket = connect(target.port, '127.0.0.1').on('error', () => undefined)
      socket.resume()
      await once(socket, 'connect')
      socket.write('POST /graphql HTTP/1.1\r\n')
      const drip = setInterval(() => socket.write('x: y\r\n'), 300)
      const ended = await Promise.race([once(socket, 'close').then(() => true), sleep(15_000, false)])
      clearInterval(drip)
      socket.destroy()
      return ended ? undefined : 'they are still waited for'
    })
  },
}
