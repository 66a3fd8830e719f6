/**
 * A PostgreSQL that flows may read: each query in a read-only transaction of its own, bounded in time, rows and bytes. The text that comes
 * here was judged by `language/sql`; the rights of the source's role are the second wall.
 */
import { Pool, Query } from 'pg'
import type { PoolClient, QueryArrayConfig } from 'pg'
import type { Logger } from '../log.ts'
import { sqlState } from './database.ts'
import { faultsOfSource } from './check-source.ts'
import { converterOf } from './query-values.ts'
import { VerifyingClient } from './verifying-client.ts'

export interface SourceQuery {
  readonly sql: string
  /** `$1` first: JSON; a list becomes an array of PostgreSQL, an object its JSON text */
  readonly params: readonly unknown[]
  readonly maxRows: number
  readonly maxBytes: number
  /** from now on */
  readonly timeoutMs: number
}

export interface SourceRows {
  readonly rows: Record<string, unknown>[]
  /** there were more than `maxRows` */
  readonly truncated: boolean
}

/** `sqlState`: as PostgreSQL calls what happened; undefined: it could not be reached, or was lost. */
export class SourceError extends Error {
  readonly reason: 'TIMEOUT' | 'TOO_LARGE' | 'ABORTED' | 'UNREACHABLE' | 'REFUSED' | 'DUPLICATE_COLUMN'
  readonly sqlState: string | undefined

  constructor(reason: SourceError['reason'], message: string, state?: string, options?: ErrorOptions) {
    super(message, options)
    this.reason = reason
    this.sqlState = state
  }
}

export interface QuerySource {
  readonly name: string
  /** how many queries run at a time; those beyond wait for a connection */
  readonly size: number
  /** Rejects with SourceError alone. What is aborted ends in the source too. */
  run(query: SourceQuery, signal: AbortSignal): Promise<SourceRows>
  /** Tells in the log what is unsafe about its role; never rejects. */
  check(): Promise<void>
  close(): Promise<void>
}

export interface QuerySourceOptions {
  readonly name: string
  /** URL */
  readonly connection: string
  readonly size: number
  readonly log: Logger
}

const CONNECT_MS = 5_000
/** The source ends its statement in time by itself; one that does not answer is left after this long. */
const GRACE_MS = 1_000

export function openQuerySource({ name, connection, size, log }: QuerySourceOptions): QuerySource {
  const settings = {
    connectionString: connection,
    connectionTimeoutMillis: CONNECT_MS,
    application_name: 'sluice query',
    Client: VerifyingClient,
  }
  const pool = new Pool({ ...settings, max: size, idleTimeoutMillis: 30_000 })
  // else the loss of a connection would end the process, of an idle one and of one at work
  const lost = (error: Error): void => log.warn({ source: name, err: error }, 'a connection to a query source was lost')
  pool.on('connect', (client) => client.on('error', lost))
  pool.on('error', () => undefined)

  async function run(query: SourceQuery, signal: AbortSignal): Promise<SourceRows> {
    const client = await pool.connect().catch((error: unknown) => {
      throw explain(error)
    })
    let left = false
    const leave = (keep: boolean): void => {
      if (!left) client.release(!keep)
      left = true
    }
    const bounds = new Bounds(client, query, signal, () => {
      void cancel(client)
      leave(false)
    })
    try {
      const rows = await readRows(client, query)
      await client.query('rollback')
      leave(true)
      return rows
    } catch (error) {
      // what was refused leaves a connection that is fine
      const kept = bounds.broken === undefined && sqlState(error) !== undefined && (await rolledBack(client))
      leave(kept)
      throw bounds.broken ?? explain(error)
    } finally {
      bounds.end()
    }
  }

  /** By another connection: closing the one that waits would not end what it waits for. */
  async function cancel(busy: PoolClient): Promise<void> {
    const { processID } = busy as PoolClient & { processID?: number }
    const other = new Pool({ ...settings, max: 1 })
    await other.query('select pg_cancel_backend($1)', [processID]).catch((error: unknown) => {
      log.warn({ source: name, err: error }, 'a query could not be canceled; its timeout will end it')
    })
    await other.end()
  }

  return {
    name,
    size,
    run,
    async check() {
      try {
        const faults = await faultsOfSource(pool)
        if (faults.length > 0) log.warn({ source: name, problems: faults }, 'a query source could be safer')
      } catch (error) {
        log.warn({ source: name, err: error }, 'a query source cannot be reached')
      }
    },
    close: () => pool.end(),
  }
}

/** Breaks a query that takes too long, answers too much or is not wanted any more. */
class Bounds {
  broken: SourceError | undefined
  readonly #timer: NodeJS.Timeout
  readonly #end: () => void

  constructor(client: PoolClient, { timeoutMs, maxBytes }: SourceQuery, signal: AbortSignal, leave: () => void) {
    const { stream } = (client as unknown as { connection: { stream: NodeJS.ReadableStream } }).connection
    let bytes = 0
    const breakOff = (reason: SourceError['reason'], message: string): void => {
      this.broken ??= new SourceError(reason, message)
      leave()
    }
    // counted as they come: a single value may have a gigabyte, and is only seen whole
    const count = (chunk: Buffer): void => {
      if ((bytes += chunk.length) > maxBytes) breakOff('TOO_LARGE', `The answer is over ${maxBytes} bytes.`)
    }
    const abort = (): void => breakOff('ABORTED', 'The query is not wanted any more.')
    this.#timer = setTimeout(() => breakOff('TIMEOUT', `The source did not answer within ${timeoutMs} ms.`), timeoutMs + GRACE_MS)
    stream.on('data', count)
    signal.addEventListener('abort', abort)
    this.#end = () => {
      clearTimeout(this.#timer)
      stream.off('data', count)
      signal.removeEventListener('abort', abort)
    }
    if (signal.aborted) abort()
  }

  end(): void {
    this.#end()
  }
}

async function readRows(client: PoolClient, query: SourceQuery): Promise<SourceRows> {
  const ms = Math.max(1, Math.round(query.timeoutMs))
  await client.query(`begin transaction read only;
    set local statement_timeout = ${ms}; set local lock_timeout = ${ms};
    set local idle_in_transaction_session_timeout = ${ms + GRACE_MS};
    set local timezone = 'UTC'; set local datestyle = 'ISO'; set local intervalstyle = 'iso_8601'; set local extra_float_digits = 1`)
  const { fields, rows } = await readFirst(client, query)
  const names = fields.map((field) => field.name)
  const twice = names.find((name, i) => names.indexOf(name) < i)
  if (twice !== undefined)
    throw new SourceError('DUPLICATE_COLUMN', `Two columns are called ${twice.slice(0, 64)}: name one with "as".`)
  const converters = fields.map((field) => converterOf(field.dataTypeID))
  const wanted = rows.slice(0, query.maxRows)
  return {
    rows: wanted.map((row) => Object.fromEntries(row.map((text, i) => [names[i]!, text === null ? null : converters[i]!(text)]))),
    truncated: rows.length > query.maxRows,
  }
}

interface RawResult {
  fields: { name: string; dataTypeID: number }[]
  rows: (string | null)[][]
}

/** One row more than wanted, and no others: the server is asked for so many. */
function readFirst(client: PoolClient, { sql, params, maxRows }: SourceQuery): Promise<RawResult> {
  return new Promise((resolve, reject) => {
    const config: QueryArrayConfig & { queryMode: string } = {
      ...{ text: sql, values: [...params], rowMode: 'array', queryMode: 'extended' },
      types: { getTypeParser: () => (text: string) => text },
    }
    client.query(
      new FirstRows(maxRows + 1, config, (error: Error | null, result: RawResult) => (error ? reject(error) : resolve(result))),
    )
  })
}

/** The protocol's own limit of rows (https://www.postgresql.org/docs/18/protocol-flow.html), which the driver only pages with. */
class FirstRows extends Query {
  readonly #most: number

  constructor(most: number, config: QueryArrayConfig, done: (error: Error | null, result: RawResult) => void) {
    super(config, done as never)
    this.#most = most
  }

  _getRows(connection: { execute(portal: { rows: number }): void; sync(): void }): void {
    connection.execute({ rows: this.#most })
    connection.sync()
  }

  handlePortalSuspended(): void {
    // the portal ends with its transaction
  }
}

async function rolledBack(client: PoolClient): Promise<boolean> {
  return client.query('rollback').then(
    () => true,
    () => false,
  )
}

/** What PostgreSQL says about a text (class 42) names tables and columns; about values it quotes them. */
function explain(error: unknown): SourceError {
  if (error instanceof SourceError) return error
  const state = sqlState(error)
  const options = { cause: error }
  if (state === undefined) return new SourceError('UNREACHABLE', 'The source cannot be reached, or was lost.', state, options)
  if (state === '57014') return new SourceError('TIMEOUT', 'The query took too long.', state, options)
  const detail = state.startsWith('42') ? (error as Error).message.slice(0, 500) : `SQLSTATE ${state}`
  return new SourceError('REFUSED', `The source refused the query: ${detail}`, state, options)
}
