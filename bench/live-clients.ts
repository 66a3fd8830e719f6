/** The sockets of bench/live.ts, in a process of their own: they speak graphql-transport-ws and count what comes. */
import { WebSocket } from 'ws'
import { FEED, MARKS } from './live-frames.ts'
import type { ClientOrder, ClientReply } from './live-frames.ts'

/** so many are opened at the same time */
const OPENING = 40

const reply = (answer: ClientReply): void => void process.send!(answer)
const sockets: WebSocket[] = []
/** of one execution */
let followersEach = 0
/** of each event: who has it, and when it came */
const received = new Map<number, number[]>()
process.on('disconnect', () => process.exit(0))
process.on('message', (order: ClientOrder) => void open(order))

async function open({ sockets: count, url, token, ids }: ClientOrder): Promise<void> {
  const first = sockets.length
  followersEach = (first + count) / ids.length
  for (let at = 0; at < count; at += OPENING) {
    const some = Array.from({ length: Math.min(OPENING, count - at) }, (_, index) => first + at + index)
    await Promise.all(some.map((number) => openOne(url, token, ids[number % ids.length]!)))
  }
  reply({ opened: true })
}

function openOne(url: string, token: string, id: string): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { perMessageDeflate: false })
  sockets.push(socket)
  const authorization = `Bearer ${token}`
  socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } })))
  socket.on('error', (error) => fail(error.message))
  socket.on('close', (code, reason) => fail(`closed: ${code} ${String(reason)}`))
  return new Promise((resolve) => {
    socket.on('message', (data: Buffer) => {
      const text = data.toString()
      // several events may come in one frame
      const events = [...text.matchAll(MARKS)]
      for (const [, number, published] of events) count(Number(number), Number(published))
      if (events.length > 0) return
      if (!text.includes('connection_ack')) return text.includes('"error"') ? fail(text) : undefined
      const payload = { query: FEED, variables: { id } }
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }), () => resolve())
    })
  })
}

function count(number: number, published: number): void {
  const latencies = received.get(number) ?? []
  received.set(number, latencies)
  latencies.push(Date.now() - published)
  if (latencies.length < followersEach) return
  received.delete(number)
  reply({ received: { number, latenciesMs: latencies } })
}

function fail(message: string): void {
  reply({ failed: message })
}
