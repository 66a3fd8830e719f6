/** A database whose statements a test can watch, hold back, or break: the product knows nothing of it. */
import type { Database } from '../../src/database/database.ts'

/** `send()` runs the statement; what is returned or thrown instead is what the caller gets. */
export type Interceptor = (text: string, send: () => Promise<unknown[]>, params: readonly unknown[]) => Promise<unknown[]>

export const isLook = (text: string): boolean => text.includes('sluice.find_work(')
export const isClaim = (text: string): boolean => text.includes('sluice.claim_next(')
export const isCommit = (text: string): boolean => text.includes('sluice.commit_transitions(')
export const isRenewal = (text: string): boolean => text.includes('insert into sluice.workers')
/** the reading of executions after a claim, or of one anew */
export const isLoad = (text: string): boolean => text.includes('join sluice.execution_inputs')
/** whether a commit was stored, after its answer was lost */
export const isReadBack = (text: string): boolean => text.includes('select id, mark from sluice.executions')

/** The same connections and clock; only what goes through `query` passes `intercept`. */
export function interceptQueries(database: Database, intercept: Interceptor): Database {
  return {
    orm: database.orm,
    transaction: (work) => database.transaction(work),
    onCommitted: (topic, listener) => database.onCommitted(topic, listener),
    fork: () => database.fork(),
    clock: database.clock,
    ping: () => database.ping(),
    close: () => database.close(),
    query: <Row>(text: string, params: readonly unknown[] = []) =>
      intercept(text, () => database.query<Row>(text, params), params) as Promise<Row[]>,
  }
}

/** What pg throws when the connection breaks, or with another SQLSTATE. */
export const broken = (code = '08006'): Error => Object.assign(new Error('broken by the test'), { code })
