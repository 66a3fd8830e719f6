/** The one way to PostgreSQL: one statement, one transaction, the entity manager, and the database's clock. */
import type { EntityManager, MikroORM, Options } from '@mikro-orm/postgresql'
import { CompiledQuery } from 'kysely'
import type { Logger } from '../log.ts'
import { createClock } from './clock.ts'
import type { DatabaseClock } from './clock.ts'
import { openOrm } from './orm.ts'

/**
 * One long writer stalls the global feeds (they read below the oldest running transaction), so the server ends it:
 * each statement, each idle moment inside a transaction and, from PostgreSQL 17 on, the whole transaction.
 */
export const TIME_LIMIT_MS = 5_000
const ATTEMPTS = 3
/** serialization_failure, deadlock_detected */
const REPEATABLE = new Set(['40001', '40P01'])

/** For the connection, whatever its role has; 0 = none. */
export const limitTime = (ms: number): string => `
  select set_config('statement_timeout', '${ms}', false), set_config('idle_in_transaction_session_timeout', '${ms}', false),
    case when current_setting('server_version_num')::int >= 170000 then set_config('transaction_timeout', '${ms}', false) end`

export interface DatabaseOptions {
  /** URL of the application's role */
  readonly connection: string
  readonly entities: NonNullable<Options['entities']>
  /** most connections at once */
  readonly poolSize: number
  readonly log: Logger
  /** what its connections are called in the server, `sluice` */
  readonly name?: string
  /** `connection` is a pooler that shares connections between transactions, false: nothing is left behind in one then */
  readonly pooled?: boolean
}

export interface Database {
  readonly orm: MikroORM
  /**
   * Runs one statement by itself, outside of any transaction; `$1` is `params[0]`. Plain rows, typed by the caller; `orm.ts`
   * says what each SQL type becomes. Errors are pg's, with `code` (SQLSTATE): never show their text, it may hold values.
   */
  query<Row>(text: string, params?: readonly unknown[]): Promise<Row[]>
  /**
   * Runs `work` in a read committed transaction with its own entity manager, flushes and commits; up to 3 times when PostgreSQL
   * asks for it (40001, 40P01), so `work` has no effects elsewhere. Bounded at 5 s. Statements inside: `queryIn(em, ...)`.
   */
  transaction<T>(work: (em: EntityManager) => Promise<T>): Promise<T>
  /** Calls `listener` with what a transaction of this process left by `tellAfterCommit`: once it is committed, before it resolves. */
  onCommitted(topic: string, listener: (news: readonly string[]) => void): void
  /** An entity manager of its own, for reading; nothing that is flushed in it is retried. */
  fork(): EntityManager
  readonly clock: DatabaseClock
  /** Throws when the database does not answer; also refreshes the clock. */
  ping(): Promise<void>
  close(): Promise<void>
}

/** Connects and reads the database's clock. Throws pg's error when the database cannot be reached. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const orm = await openOrm({ ...options, onConnect: limitTime(TIME_LIMIT_MS) })
  const em = orm.em.fork()
  const kysely = em.getKysely<unknown>()

  async function query<Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
    return (await kysely.executeQuery<Row>(CompiledQuery.raw(text, params as unknown[]))).rows
  }

  const listeners = new Map<string, (news: readonly string[]) => void>()

  async function transaction<T>(work: (em: EntityManager) => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt += 1) {
      const left: News = new Map()
      try {
        const result = await orm.em.fork().transactional((inside) => {
          NEWS.set(inside, left)
          return work(inside)
        })
        for (const [topic, news] of left) listeners.get(topic)?.(news)
        return result
      } catch (error) {
        if (attempt === ATTEMPTS || !REPEATABLE.has(sqlState(error) ?? '')) throw error
      }
    }
  }

  const clock = createClock(async () => {
    const [row] = await query<{ ms: number }>('select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms')
    return row?.ms ?? Number.NaN
  })
  const database: Database = {
    orm,
    query,
    transaction,
    onCommitted: (topic, listener) => void listeners.set(topic, listener),
    fork: () => orm.em.fork(),
    clock,
    ping: () => clock.sync(),
    close: () => orm.close(true),
  }
  try {
    // The first answer waited for the connection too, so it says little about the time.
    await clock.sync()
    await clock.sync()
  } catch (error) {
    await orm.close(true)
    throw error
  }
  return database
}

type News = Map<string, string[]>
const NEWS = new WeakMap<EntityManager, News>()

/** Leaves `news` for whoever listens to `topic` in this process when the transaction that `em` stands in has been committed. */
export function tellAfterCommit(em: EntityManager, topic: string, news: readonly string[]): void {
  const left = NEWS.get(em)
  if (!left) throw new Error(`news of ${topic} outside of a transaction`)
  left.set(topic, [...(left.get(topic) ?? []), ...news])
}

/** One statement inside the transaction that `em` stands in (else by itself). As `Database.query`. */
export async function queryIn<Row>(em: EntityManager, text: string, params: readonly unknown[] = []): Promise<Row[]> {
  return (await em.getKysely<unknown>().executeQuery<Row>(CompiledQuery.raw(text, params as unknown[]))).rows
}

/** The SQLSTATE of an error that came from PostgreSQL, also when MikroORM wrapped it. */
export function sqlState(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined
}
