/** The closed list of what a log line may carry, each with what is kept of it: ids, codes and counts, never contents (C6). */
import { describeError, framesOf, isWord } from './log-error.ts'
import { redact } from './log-text.ts'

const MAX_ITEMS = 20

/** An id, a name or a code: nothing else can be said with its characters. */
const word = (value: string | undefined): string | undefined =>
  isWord(value) ? value : value === undefined ? undefined : '[no code]'
const words = (values: readonly string[]): (string | undefined)[] => values.slice(0, MAX_ITEMS).map(word)
const number = (value: number | undefined): number | undefined => (typeof value === 'number' ? value : undefined)
const text = (value: string): string | undefined => (typeof value === 'string' ? redact(value) : undefined)
const texts = (values: readonly string[]): (string | undefined)[] => values.slice(0, MAX_ITEMS).map(text)

/** A field that is not here is not printed: say what it is, and why it can hold nobody's content, then add it. */
const FIELDS = {
  err: describeError,
  /** of ours: `engine`, `database` */
  room: word,
  requestId: word,
  principal: word,
  executionId: word,
  execution: word,
  workerId: word,
  documentId: word,
  /** the id of an audit event */
  audit: word,
  /** the id of what asked for a mail; never whom it is for */
  mail: word,
  type: word,
  code: word,
  /** of an audit event */
  severity: word,
  /** what a webhook answered, such as 503 */
  httpStatus: number,
  sqlState: word,
  /** which key sealed or signed; says nothing about it */
  keyId: word,
  handler: word,
  /** cpu, memory */
  resource: word,
  /** of agents: of the closed list */
  role: word,
  /** what a feed is of: `execution <UUID>` */
  topic: text,
  /** of what queries read, as the operator named it */
  source: word,
  /** of a step run, or of a field in an answer */
  path: word,
  /** migrations */
  applied: words,
  attempt: number,
  count: number,
  /** what retention removed */
  executionPayloads: number,
  executions: number,
  idempotencyKeys: number,
  auditEvents: number,
  partitions: number,
  items: number,
  lost: number,
  pid: number,
  /** what an SMTP server answered, such as 550 */
  smtpStatus: number,
  waiting: number,
  /** why a persisted operation, which the operator wrote, does not fit */
  problems: texts,
  waitedMs: number,
  /** why Redis or the database is away: of the connection, never of a command */
  why: text,
  /** what a handler, the operator's code, printed; at `debug` only */
  output: text,
  stack: (stack: string) => framesOf(String(stack)),
}

export type LogFields = { readonly [K in keyof typeof FIELDS]?: Parameters<(typeof FIELDS)[K]>[0] | undefined }

/** What may be printed of `fields`; of others only that they were there, since even their names may come from outside. */
export function listed(fields: LogFields): Record<string, unknown> {
  const shown: Record<string, unknown> = {}
  let unlisted = 0
  for (const [name, value] of Object.entries(fields)) {
    if (!Object.hasOwn(FIELDS, name)) unlisted += 1
    else if (value !== undefined) shown[name] = keep(FIELDS[name as keyof typeof FIELDS] as (value: unknown) => unknown, value)
  }
  if (unlisted > 0) shown['unlisted'] = unlisted
  return shown
}

/** A log never stops what it tells of. */
function keep(serialise: (value: unknown) => unknown, value: unknown): unknown {
  try {
    return serialise(value)
  } catch {
    return '[unprintable]'
  }
}
