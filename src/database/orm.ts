/** How MikroORM is set up, for the application and for migrations alike. */
import { MikroORM } from '@mikro-orm/postgresql'
import type { Options } from '@mikro-orm/postgresql'
import { types } from 'pg'
import type { ClientBase } from 'pg'
import type { Logger } from '../log.ts'
import { giveBackLost } from './lost-connections.ts'
import { PreparingClient } from './prepared.ts'
import { SILENT_MS, steady } from './steady-client.ts'
import { VerifyingClient } from './verifying-client.ts'

export interface OrmOptions {
  /** `postgres://user:password@host:port/database`; a percent-encoded directory as the host is a Unix socket */
  readonly connection: string
  readonly entities: NonNullable<Options['entities']>
  readonly poolSize: number
  /** waits for answers as long as it takes */
  readonly patient?: boolean
  readonly log: Logger
  /** what its connections are called in the server, `sluice` */
  readonly name?: string
  readonly pooled?: boolean
  /** run once on each new connection, before anything else uses it */
  readonly onConnect: string
  readonly migrations?: Options['migrations']
  readonly extensions?: Options['extensions']
  /** rewrites MikroORM's own statements, not those of `query` */
  readonly onQuery?: (sql: string) => string
}

/** Connects lazily: a wrong address shows at the first query. */
export async function openOrm(options: OrmOptions): Promise<MikroORM> {
  const { log } = options
  // a pooler gives each transaction another connection, which knows no statement of ours
  const Statements = options.pooled ? VerifyingClient : PreparingClient
  return MikroORM.init({
    entities: options.entities,
    discovery: { warnWhenNoEntities: false },
    dbName: decodeURIComponent(new URL(options.connection).pathname.slice(1)),
    schema: 'sluice',
    driverOptions: {
      connectionString: options.connection,
      application_name: options.name ?? 'sluice',
      types: { getTypeParser },
      Client: options.patient ? Statements : steady(Statements),
      // nobody waits for a free one longer than for an answer
      ...(!options.patient && { connectionTimeoutMillis: SILENT_MS }),
      // The pool's own hook: it closes a connection for which this fails. Kysely's would keep it, and nobody ever gave it back.
      onConnect: (client: ClientBase) => client.query(options.onConnect),
      onPoolCreated: giveBackLost,
    },
    pool: { min: 0, max: options.poolSize },
    // Flushing several versioned entities at once checks their versions apart from the update and loses updates.
    useBatchUpdates: false,
    allowGlobalContext: false,
    ensureDatabase: false,
    forceUtcTimezone: true,
    colors: false,
    // Only warnings come here, such as a connection that the server dropped; statements hold values and are never logged.
    logger: (message) => log.warn(message),
    migrations: { snapshot: false, silent: true, ...options.migrations },
    extensions: options.extensions ?? [],
    ...(options.onQuery && { onQuery: options.onQuery }),
  })
}

/** Object ids of types, fixed in PostgreSQL's catalog. */
const INT8 = 20
const INT8_ARRAY = 1016
const DATE = 1082
const TEXT_ARRAY = 1009
// pg's own declaration knows no object ids of arrays.
const parserOf = types.getTypeParser as (oid: number, format?: 'text' | 'binary') => (text: string) => unknown
const parseTextArray = parserOf(TEXT_ARRAY) as (text: string) => (string | null)[]

/**
 * What a column becomes in the rows of `query`: int8 a number (an error beyond 2^53), timestamptz a Date (its microseconds are
 * lost: compare in SQL), date a string, numeric a string, json and jsonb parsed (`::text` gives the text), bytea a Buffer, xid8
 * and uuid strings. The rest as pg has it.
 */
function getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
  if (oid === INT8) return parseSafeInteger
  if (oid === INT8_ARRAY)
    return (text: string) => parseTextArray(text).map((item) => (item === null ? null : parseSafeInteger(item)))
  if (oid === DATE) return String
  return parserOf(oid, format)
}

function parseSafeInteger(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value)) throw new RangeError(`${text} is beyond 2^53: select it as text`)
  return value
}
