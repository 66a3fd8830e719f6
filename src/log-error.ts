/** Errors as the log shows them: what they are and where they came from; their text only where it cannot hold somebody's values (C6). */
import { redact } from './log-text.ts'
import { remedyOf } from './sql-states.ts'

const MAX_CAUSES = 5
const MAX_FRAMES = 20

/** Their text is ours, Node's or the language's. That of others (PostgreSQL, JSON, GraphQL, schemas) quotes what they were given. */
const PLAIN = new Set([
  'Error',
  'TypeError',
  'RangeError',
  'ReferenceError',
  'AggregateError',
  'AbortError',
  'TimeoutError',
  'Fault',
])

/** Names in the schema, which PostgreSQL's errors carry beside their text. */
const IDENTIFIERS = ['routine', 'schema', 'table', 'column', 'constraint', 'dataType'] as const

/** A line of a stack as V8 writes it: `    at async name (file:///a/b.ts:1:2)`. */
const FRAME = /^ {4}at (?:[\w.$#<>[\] ]{1,120} \()?(?:file:\/\/|node:|\/|[A-Z]:\\|<anonymous>)[^\s()]{0,300}\)?$/

export interface DescribedError {
  name: string
  /** of Node, of a library or of ours */
  code?: string
  /** of PostgreSQL: https://www.postgresql.org/docs/18/errcodes-appendix.html */
  sqlState?: string
  /** what to do about it */
  remedy?: string
  message?: string
  stack?: string
  /** from near to far */
  causes?: DescribedError[]
  [identifier: string]: unknown
}

/** What may be any value that was thrown. */
export function describeError(thrown: unknown): DescribedError {
  const described = describeOne(thrown)
  const causes: DescribedError[] = []
  for (let cause = causeOf(thrown); cause !== undefined && causes.length < MAX_CAUSES; cause = causeOf(cause))
    causes.push(describeOne(cause))
  return causes.length > 0 ? { ...described, causes } : described
}

/** The frames of a stack alone: its first lines are the error's text. */
export function framesOf(stack: string): string {
  const frames = stack.split('\n').filter((line) => FRAME.test(line))
  return frames.slice(0, MAX_FRAMES).join('\n')
}

/** True for what can only be a name or a code. */
export const isWord = (value: unknown): value is string => typeof value === 'string' && /^[\w.:/@#[\]()-]{1,200}$/.test(value)

function describeOne(thrown: unknown): DescribedError {
  if (!(thrown instanceof Error)) return { name: typeof thrown }
  const { code } = thrown as { code?: unknown }
  const name = isWord(thrown.name) ? thrown.name : 'Error'
  const described: DescribedError = { name }
  const isOfPostgres = typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code)
  if (isOfPostgres) {
    described.sqlState = code
    const remedy = remedyOf(code)
    if (remedy !== undefined) described.remedy = remedy
    for (const identifier of IDENTIFIERS) {
      const value = (thrown as unknown as Record<string, unknown>)[identifier]
      if (isWord(value)) described[identifier] = value
    }
  } else {
    if (isWord(code)) described.code = code
    if (PLAIN.has(name)) described.message = redact(thrown.message)
  }
  // a message may have lines that look like frames
  const stack = (thrown.stack ?? '').replace(thrown.message, '')
  const frames = framesOf(stack)
  if (frames !== '') described.stack = frames
  return described
}

const causeOf = (thrown: unknown): unknown => (thrown instanceof Error ? thrown.cause : undefined)
