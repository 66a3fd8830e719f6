/** What some work sends to PostgreSQL, without what happens beside it. */
import { AsyncLocalStorage } from 'node:async_hooks'
import { Client } from 'pg'

export interface Statement {
  text: string
  values: readonly unknown[]
}

const recording = new AsyncLocalStorage<Statement[]>()
const query = Client.prototype.query
Client.prototype.query = function recorded(this: Client, ...args: unknown[]) {
  const [first, second] = args
  const { text = '', values = [] } = (typeof first === 'string' ? { text: first, values: second } : first) as Partial<Statement>
  // set_config is sent once on each new connection
  if (!text.includes('set_config(')) recording.getStore()?.push({ text, values })
  return (query as (...all: unknown[]) => unknown).apply(this, args)
} as typeof query

export async function recordStatements<T>(work: () => Promise<T>): Promise<{ result: T; statements: Statement[] }> {
  const statements: Statement[] = []
  return { result: await recording.run(statements, work), statements }
}
