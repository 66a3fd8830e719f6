/** Starts the flow whose pattern matches a text best (C11). */
import { hashOf } from '../../canonical-json.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck, MAX_KEY } from '../check-arguments.ts'
import { matchPatterns } from './match-patterns.ts'
import type { MatchPatterns, PatternMatch } from './match-patterns.ts'
import { requirePrincipal } from '../permissions.ts'
import { startFlow } from '../executions/start-execution.ts'
import type { Started, StartExecution } from '../executions/start-execution.ts'

export interface Dispatch extends MatchPatterns, Pick<StartExecution, 'idempotencyKey' | 'labels' | 'waitMs'> {}

export interface Dispatched extends Omit<Started, 'cached'> {
  cached: boolean
  /** null: the answer to an earlier call with this key */
  match: PatternMatch | null
  /** that it takes by what its pattern says; 0 when it is an earlier answer */
  tokens: number
  durationMs: number
}

/**
 * The same key answers the same for the same text and mode, whatever patterns there are now. Problems: NOT_FOUND when nothing matches, and
 * those of `startExecution`.
 */
export async function dispatch(call: Call, args: Dispatch): Promise<Dispatched | Problem> {
  const began = performance.now()
  const { text, mode, ...start } = args
  const sameAs = hashOf(['dispatch', text, mode])
  const earlier = await findEarlier(call, args.idempotencyKey, sameAs)
  if (isProblem(earlier)) return earlier
  if (earlier) return { ...earlier, ...NOTHING_NEW, durationMs: performance.now() - began }
  const matches = await matchPatterns(call, { text, mode }, true)
  if (isProblem(matches)) return matches
  const [best] = matches
  if (!best) return problem('NOT_FOUND', { path: ['text'], message: 'No pattern matches, or none that you may run.' })
  const { pattern, match, flow } = best
  const input = pattern.inputOf(text, match)
  if (!input.ok) return invalid(input.message)
  const trigger = { id: pattern.id, type: 'pattern', name: pattern.definition.name } as const
  const more = { trigger, cacheTtlMs: pattern.cacheTtlMs, sameAs }
  const started = await startFlow({ ...call, principal: requirePrincipal(call) }, flow, { ...start, input: input.value }, more)
  if (isProblem(started)) return started
  const { cached = false } = started
  const tokens = cached || started.replayed ? 0 : pattern.cost
  if (!started.replayed) call.services.patternUses.note(pattern.id, { cached, tokens })
  return { ...started, cached, match: best, tokens, durationMs: performance.now() - began }
}

const NOTHING_NEW = { replayed: true, cached: false, match: null, tokens: 0 } as const

/** What an earlier call with this key started. */
async function findEarlier(
  call: Call,
  key: string | undefined,
  sameAs: Buffer,
): Promise<{ executionId: string } | Problem | undefined> {
  if (key === undefined) return undefined
  const check = new ArgumentCheck()
  check.line(['idempotencyKey'], key, MAX_KEY)
  if (check.problem) return check.problem
  const [found] = await call.services.database.query<{ executionId: string; inputHash: Buffer }>(
    `select subject_id as "executionId", input_hash as "inputHash" from sluice.idempotency_keys
     where principal_id = $1 and operation = 'startExecution' and key = $2`,
    [requirePrincipal(call).actsAs, key],
  )
  if (!found) return undefined
  const { inputHash, executionId } = found
  return sameAs.equals(inputHash) ? { executionId } : problem('IDEMPOTENCY_MISMATCH', { path: ['idempotencyKey'] })
}

/** The pattern's template cannot make an input of this text. */
const invalid = (message: string): Problem =>
  problem('VALIDATION', { path: ['text'], issues: [{ code: 'INVALID_VALUE', path: ['text'], message }] })
