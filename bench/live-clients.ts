/** The sockets of bench/live.ts, in a process of their own: they speak graphql-transport-ws and count what comes. */
import { WebSocket } from 'ws'
import { FEED } from './live-frames.ts'
import type { ClientOrder, ClientReply } from './live-frames.ts'

/** so many are opened at the same time */
const OPENING = 40

const reply = (answer: ClientReply): void => void process.send!(answer)
const sockets: WebSocket[] = []
/** of each event: who has it, and when it came */
const received = new Map<number, number[]>()
process.on('disconnect', () => process.exit(0))
process.on('message', (order: ClientOrder) => void open(order))

async function open({ sockets: count, url, tokens, ids }: ClientOrder): Promise<void> {
  for (let at = 0; at < count; at += OPENING) {
    const some = Array.from({ length: Math.min(OPENING, count - at) }, (_, index) => at + index)
    await Promise.all(some.map((number) => openOne(url, tokens[number % tokens.length], ids[number % ids.length]!)))
  }
  reply({ opened: true })
}

function openOne(url: string, token: string | undefined, id: string): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws', { perMessageDeflate: false })
  sockets.push(socket)
  const authorization = token && `Bearer ${token}`
  socket.once('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { authorization } })))
  socket.on('error', (error) => fail(error.message))
  socket.on('close', (code, reason) => fail(`closed: ${code} ${String(reason)}`))
  return new Promise((resolve) => {
    socket.on('message', (data: Buffer) => {
      const text = data.toString()
      // several events may come in one frame
      const events = [...text.matchAll(/"seq":(\d+).*?"published":(\d+)/g)]
      for (const [, seq, published] of events) count(Number(seq), Number(published))
      if (events.length > 0) return
      if (!text.includes('connection_ack')) return text.includes('"error"') ? fail(text) : undefined
      const payload = { query: FEED, variables: { id } }
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }), () => resolve())
    })
  })
}

function count(seq: number, published: number): void {
  const latencies = received.get(seq) ?? []
  received.set(seq, latencies)
  latencies.push(Date.now() - published)
  if (latencies.length < sockets.length) return
  received.delete(seq)
  reply({ received: { seq, latenciesMs: latencies } })
}

function fail(message: string): void {
  reply({ failed: message })
}
