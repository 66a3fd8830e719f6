/** Stores a transition with what came along with its inputs; and says what to store instead when the database refuses it. */
import { randomInt } from 'node:crypto'
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { Database } from '../database/database.ts'
import type { Committer, Verdict } from './commit.ts'
import type { Transition } from './decide/draft.ts'
import type { Input } from './decide/input.ts'
import { encodeTransition } from './encode.ts'
import type { Extras } from './encode.ts'
import type { Post } from './post.ts'
import { executionContext, traced } from '../tracing.ts'

/** What came with inputs that were not applied is left out. Nothing is sent when nothing changed. */
export async function storeTransition(
  database: Database,
  committer: Committer,
  signAudit: AuditKeys['sign'],
  transition: Transition,
  posts: readonly Post[],
): Promise<Verdict> {
  const { next, from, lates } = transition
  for (const late of lates) await recordLate(database, next.id, late)
  if (!transition.changed) return { kind: 'committed' }
  const extras: Extras = {}
  let urgent = false
  for (const [index, post] of posts.entries()) {
    urgent ||= post.urgent
    if (transition.results[index] !== 'applied') continue
    extras.start ??= post.extras.start
    for (const list of ['keys', 'sends', 'audits'] as const) {
      if (post.extras[list]) Object.assign(extras, { [list]: [...(extras[list] ?? []), ...post.extras[list]] })
    }
  }
  const mark = randomInt(2 ** 47)
  const kind = from.version === 0 ? 'start' : 'update'
  const keyed = extras.start?.idempotency !== undefined
  const rows = encodeTransition(transition, mark, signAudit, extras)
  const commit = (): Promise<Verdict> => committer.submit({ executionId: next.id, kind, mark, rows, urgent, keyed, from })
  const parent = executionContext(next.id)
  return parent ? traced('commit', commit, () => ({ parent, attributes: { 'sluice.execution': next.id } })) : commit()
}

/** The same inputs, with outputs replaced by their refusal; if there was none, the execution itself has to end. */
export function withoutPayloads(inputs: readonly Input[], message: string): Input[] {
  let found = false
  const lighter = inputs.map((input): Input => {
    if (input.kind !== 'outcome' || !input.outcome.ok) return input
    found = true
    return { ...input, outcome: { ok: false, code: 'UNSTORABLE_OUTPUT', message } }
  })
  return found ? lighter : [...inputs, { kind: 'unstorable', message }]
}

async function recordLate(database: Database, executionId: string, late: Transition['lates'][number]): Promise<void> {
  await database.query(
    `insert into sluice.late_outcomes (execution_id, path, attempt, epoch, outcome) values ($1, $2, $3, $4, $5) on conflict do nothing`,
    [executionId, late.path, late.attempt, late.epoch, JSON.stringify(late.outcome)],
  )
}
