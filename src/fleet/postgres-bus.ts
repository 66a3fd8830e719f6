/**
 * The bus between processes that share one database and no Redis: NOTIFY on one channel, LISTEN on a connection of its own.
 * A NOTIFY is never part of another transaction: its commit takes a lock that all notifying commits queue for.
 */
import { Client } from 'pg'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import { createBatchedBus } from './batched-bus.ts'
import type { Bus } from './bus.ts'

const CHANNEL = 'sluice_bus'
const RECONNECT_MS = { first: 100, longest: 5_000 }

export interface PostgresBusOptions {
  /** sends the notifications */
  readonly database: Pick<Database, 'query'>
  /** URL to listen on: a server, not a pooler that shares connections between transactions */
  readonly connection: string
  readonly log: Logger
}

export interface PostgresBus extends Bus {
  /** settles when it listens, and again after each time the connection was lost */
  listening(): Promise<void>
}

/** Listens in the background: a database that is not there yet is no error. */
export function createPostgresBus({ database, connection, log }: PostgresBusOptions): PostgresBus {
  const bus = createBatchedBus({ send, log })
  const listener = keepListening(connection, bus.receive, log)

  async function send(messages: readonly string[]): Promise<void> {
    await database
      .query(`select pg_notify('${CHANNEL}', message) from unnest($1::text[]) message`, [messages])
      .catch((error: unknown) => log.warn({ err: error }, 'rings of the bus were lost'))
  }

  return {
    ring: (topic, payload) => bus.ring(topic, payload),
    listen: (topic, callback) => bus.listen(topic, callback),
    listening: () => listener.listening(),
    async close() {
      await Promise.all([bus.close(), listener.stop()])
    },
  }
}

/** One connection that listens; opened again, ever more patiently, when it is lost. */
function keepListening(
  connection: string,
  receive: (message: string) => void,
  log: Logger,
): { listening(): Promise<void>; stop(): Promise<void> } {
  let ready = Promise.withResolvers<void>()
  const stopping = Promise.withResolvers<void>()
  let stopped = false

  async function listenOnce(): Promise<void> {
    const client = new Client({ connectionString: connection, application_name: 'sluice bus', keepAlive: true })
    const ended = new Promise<void>((resolve) => client.once('end', resolve))
    client.on('error', (error) => log.warn({ err: error }, 'the bus lost its connection'))
    client.on('notification', ({ payload = '' }) => receive(payload))
    try {
      await client.connect()
      await client.query(`listen ${CHANNEL}`)
      ready.resolve()
      await Promise.race([ended, stopping.promise])
      ready = Promise.withResolvers<void>()
    } finally {
      await client.end()
    }
  }

  async function run(): Promise<void> {
    let delay = RECONNECT_MS.first
    while (!stopped) {
      const began = performance.now()
      await listenOnce().catch((error: unknown) => log.warn({ err: error }, 'the bus does not listen'))
      if (performance.now() - began > RECONNECT_MS.longest) delay = RECONNECT_MS.first
      await waitUnless(stopping.promise, stopped ? 0 : delay)
      delay = Math.min(delay * 2, RECONNECT_MS.longest)
    }
  }

  const running = run()
  return {
    listening: () => ready.promise,
    async stop() {
      stopped = true
      stopping.resolve()
      await running
    },
  }
}

async function waitUnless(stopping: Promise<void>, ms: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined
  const elapsed = new Promise<void>((resolve) => (timer = setTimeout(resolve, ms)))
  await Promise.race([stopping, elapsed])
  clearTimeout(timer)
}
