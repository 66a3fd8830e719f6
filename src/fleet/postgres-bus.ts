/**
 * The bus between processes that share one database and no Redis: NOTIFY on one channel, LISTEN on a connection of its own.
 * A NOTIFY is never part of another transaction: its commit takes a lock that all notifying commits queue for.
 */
import type { Database } from '../database/database.ts'
import { SILENT_MS, steady } from '../database/steady-client.ts'
import { VerifyingClient } from '../database/verifying-client.ts'
import type { Logger } from '../log.ts'
import { createBatchedBus } from './batched-bus.ts'
import type { Bus } from './bus.ts'
import { keepListening } from './keep-listening.ts'
import type { Ear } from './keep-listening.ts'

const SteadyClient = steady(VerifyingClient)
const CHANNEL = 'sluice_bus'

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
  const listener = keepListening({
    open: () => listen(connection, bus.receive),
    onLost: (error) => log.warn({ err: error }, 'the bus does not listen'),
  })

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

async function listen(connection: string, receive: (message: string) => void): Promise<Ear> {
  const client = new SteadyClient({ connectionString: connection, application_name: 'sluice bus' })
  const lost = new Promise<void>((resolve, reject) => {
    client.once('end', resolve)
    client.on('error', reject)
  })
  lost.catch(() => undefined)
  client.on('notification', ({ payload = '' }) => receive(payload))
  // nothing may come for hours: only whoever asks learns that nobody is there any more
  const beat = setInterval(() => void client.query('select 1').catch(() => undefined), SILENT_MS)
  client.once('end', () => clearInterval(beat))
  try {
    await client.connect()
    await client.query(`listen ${CHANNEL}`)
  } catch (error) {
    await client.end()
    throw error
  }
  return { lost, close: () => client.end() }
}
