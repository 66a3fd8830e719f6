/**
 * The bus between processes that share one database and no Redis: NOTIFY on one channel, LISTEN on a connection of its own.
 *
 * Rings that come while a flush is on its way go together with the next one, equal ones once. A NOTIFY is never part of another
 * transaction: its commit takes a lock that all notifying commits queue for.
 */
import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import type { Bus } from './bus.ts'
import { createLocalBus } from './local-bus.ts'
import { packRings, unpackRings } from './ring-batch.ts'
import type { Ring } from './ring-batch.ts'

const CHANNEL = 'sluice_bus'
/** More than this waiting means that the database does not answer: hints are not worth the memory. */
const MAX_PENDING = 10_000
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
export function createPostgresBus(options: PostgresBusOptions): PostgresBus {
  const { database, connection, log } = options
  const origin = randomUUID()
  const local = createLocalBus(log)
  const pending = new Map<string, Ring>()
  let flushing: Promise<void> | undefined
  let closed = false

  async function flush(): Promise<void> {
    // After this turn: rings of one turn go together.
    await new Promise(setImmediate)
    while (pending.size > 0) {
      const messages = packRings(origin, [...pending.values()])
      pending.clear()
      await database
        .query(`select pg_notify('${CHANNEL}', message) from unnest($1::text[]) message`, [messages])
        .catch((error: unknown) => {
          log.warn({ err: error }, 'rings of the bus were lost')
        })
    }
    flushing = undefined
  }

  function receive(message: string | undefined): void {
    const batch = message === undefined ? undefined : unpackRings(message)
    // Our own rings were delivered here at once.
    if (batch === undefined || batch.origin === origin) return
    for (const { topic, payload } of batch.rings) local.ring(topic, payload)
  }

  const listener = keepListening(connection, receive, log)

  return {
    ring(topic, payload) {
      if (closed) return
      local.ring(topic, payload)
      if (pending.size < MAX_PENDING)
        pending.set(JSON.stringify([topic, payload]), { topic, ...(payload !== undefined && { payload }) })
      flushing ??= flush()
    },
    listen: (topic, callback) => local.listen(topic, callback),
    listening: () => listener.listening(),
    async close() {
      closed = true
      await Promise.all([flushing, listener.stop(), local.close()])
    },
  }
}

/** One connection that listens; opened again, ever more patiently, when it is lost. */
function keepListening(
  connection: string,
  receive: (message: string | undefined) => void,
  log: Logger,
): { listening(): Promise<void>; stop(): Promise<void> } {
  let ready = Promise.withResolvers<void>()
  const stopping = Promise.withResolvers<void>()
  let stopped = false

  async function listenOnce(): Promise<void> {
    const client = new Client({ connectionString: connection, application_name: 'sluice bus', keepAlive: true })
    const ended = new Promise<void>((resolve) => client.once('end', resolve))
    client.on('error', (error) => log.warn({ err: error }, 'the bus lost its connection'))
    client.on('notification', ({ payload }) => receive(payload))
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
