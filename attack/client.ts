/** What an attacker sends: GraphQL by POST, bytes as they are, messages over a WebSocket. */
import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Target } from './server.ts'

const PATIENCE_MS = 30_000

// what a document asks for is what its attack reads
// oxlint-disable-next-line no-explicit-any
type Untyped = any

export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** of GraphQL; empty when it answered something else */
  readonly data: Untyped
  readonly errors: readonly { message: string; extensions?: Record<string, unknown> }[]
  readonly ms: number
}

export interface Sending {
  token?: string | undefined
  variables?: object
  headers?: Record<string, string>
  /** the whole body instead of `query` and `variables` */
  body?: string | Uint8Array<ArrayBuffer>
}

/** Opened sockets are closed by `close`; `closed` has the code when the server did so. */
export interface Socket {
  send(message: unknown): void
  /** all that came */
  readonly received: Record<string, unknown>[]
  /** the next message that fits; undefined when it closes, or after a while */
  next(fits: (message: Record<string, unknown>) => boolean, withinMs?: number): Promise<Record<string, unknown> | undefined>
  readonly closed: Promise<number>
  close(): void
}

export type Client = ReturnType<typeof createClient>

export function createClient({ url, port }: Pick<Target, 'url' | 'port'>) {
  async function send(query: string, { token, variables, headers, body }: Sending = {}): Promise<Answer> {
    const began = performance.now()
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/graphql-response+json',
        ...(token && { authorization: `Bearer ${token}` }),
        ...headers,
      },
      body: body ?? JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(PATIENCE_MS),
    })
    const text = await response.text()
    const { data, errors } = readJson(text)
    return { status: response.status, headers: response.headers, text, data, errors: errors ?? [], ms: performance.now() - began }
  }

  /** A mutation with `input`; `selection` of its success. Problems come with `code` and `message`. */
  async function mutate(token: string | undefined, field: string, input: object, selection = '__typename'): Promise<Untyped> {
    const type = field[0]!.toUpperCase() + field.slice(1)
    const document = `mutation ($input: ${type}Input!) { ${field}(input: $input) { __typename ... on ${SUCCESS[field] ?? `${type}Success`} { ${selection} } ... on Problem { code message } } }`
    const { data, errors } = await send(document, { token, variables: { input } })
    return data?.[field] ?? { errors }
  }

  /** Bytes as they are; what came back until the server closed or was silent for a while. */
  async function raw(bytes: string | Buffer, silenceMs = 1_500): Promise<string> {
    const socket = connect(port, '127.0.0.1')
    let received = ''
    socket.on('data', (text) => (received += String(text)))
    socket.on('error', () => undefined)
    await once(socket, 'connect')
    socket.setTimeout(silenceMs, () => socket.destroy())
    socket.write(bytes)
    await once(socket, 'close')
    return received
  }

  /** Undefined when the handshake is refused. */
  async function open(
    options: { origin?: string; protocol?: string; headers?: Record<string, string> } = {},
  ): Promise<Socket | undefined> {
    const { origin, protocol = 'graphql-transport-ws', headers } = options
    const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, protocol, {
      ...(origin && { origin }),
      ...(headers && { headers }),
    })
    const received: Record<string, unknown>[] = []
    const closed = new Promise<number>((resolve) => socket.once('close', resolve))
    socket.on('message', (data: Buffer) => received.push(JSON.parse(data.toString()) as Record<string, unknown>))
    socket.on('error', () => undefined)
    const opened = await Promise.race([
      once(socket, 'open').then(
        () => true,
        () => false,
      ),
      closed.then(() => false),
    ])
    if (!opened) return undefined
    return {
      received,
      closed,
      send: (message) =>
        socket.readyState === WebSocket.OPEN && socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
      close: () => socket.terminate(),
      async next(fits, withinMs = 5_000) {
        const until = performance.now() + withinMs
        for (;;) {
          const found = received.find(fits)
          if (found || performance.now() > until || socket.readyState === WebSocket.CLOSED) return found
          await Promise.race([once(socket, 'message'), closed, sleep(100)])
        }
      },
    }
  }

  return { url, send, mutate, raw, open }
}

/** Where the type of a success is not named after its field. */
const SUCCESS: Readonly<Record<string, string>> = { refreshSession: 'SignInSuccess' }

function readJson(text: string): { data?: Untyped; errors?: Answer['errors'] } {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'object' && value !== null ? value : {}
  } catch {
    return {}
  }
}
