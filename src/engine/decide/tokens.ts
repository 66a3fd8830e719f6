/** What the attempts of steps take in tokens, as their definitions say: counted when they begin, whatever comes of them. */
import type { Draft } from './draft.ts'
import { runAt } from './run.ts'

/** As PostgreSQL and the audit log hold it. */
const MOST = 2 ** 31 - 1

/** What all that began in this execution took, with what begins in this transition. */
export function tokensAfter({ from, launches, asks }: Draft): number {
  let tokens = from.tokens ?? 0
  for (const { run, suspect } of launches) if (!suspect) tokens += run.step.cost ?? 0
  for (const { path } of asks) tokens += runAt(from.program, path)?.step.cost ?? 0
  return Math.min(tokens, MOST)
}
