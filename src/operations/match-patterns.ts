/** The patterns that match a text, of those that the caller may run (C11). */
import { sql } from 'kysely'
import { isProblem, problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import type { RegexMatch } from '../language/regex.ts'
import type { Pattern } from '../triggers/patterns/pattern-set.ts'
import type { Call } from './call.ts'
import { ArgumentCheck } from './check-arguments.ts'
import type { FlowToStart } from './find-flow-to-start.ts'
import { askerOf, levelOf, mayStartExecutions, requirePrincipal, rightsOf } from './permissions.ts'

/** How much may be spent: FAST runs what is there already, BALANCED all but what is hybrid and dear, COMPREHENSIVE everything. */
export const DISPATCH_MODES = ['FAST', 'BALANCED', 'COMPREHENSIVE'] as const
export type DispatchMode = (typeof DISPATCH_MODES)[number]

export interface MatchPatterns {
  text: string
  mode: DispatchMode
}

export interface PatternMatch {
  pattern: Pattern
  match: RegexMatch
  flow: FlowToStart
}

export const MAX_TEXT = 4_000
/** Steps of regular expressions, some tens of milliseconds: patterns in their thousands that match everything are not run all. */
const MOST_WORK = 20_000_000

/**
 * The best first: by priority, then the longest match, then by name. With `first` no more than are needed to know the best one. Problems:
 * VALIDATION, LIMIT_REACHED when there are more and larger patterns than can be tried.
 */
export async function matchPatterns(call: Call, { text, mode }: MatchPatterns, first = false): Promise<PatternMatch[] | Problem> {
  const principal = requirePrincipal(call)
  const check = new ArgumentCheck()
  check.text(['text'], text, MAX_TEXT)
  if (check.problem) return check.problem
  const { patterns, limits } = call.services
  const near = (await patterns.candidates(text)).filter((pattern) => isWithin(mode, pattern, limits.balancedTokens))
  if (near.length === 0) return []
  const flows = await findFlows(call, near)
  const matches: PatternMatch[] = []
  let work = 0
  for (const pattern of near.toSorted((a, b) => b.priority - a.priority)) {
    if (first && matches.length > 0 && pattern.priority < matches[0]!.pattern.priority) break
    const flow = flows.get(pattern.id)
    if (!flow) continue
    const program = await call.services.engine.program(flow.newestVersionId)
    if (isProblem(program) || !mayStartExecutions(principal, flow, program)) continue
    work += pattern.size * text.length
    if (work > MOST_WORK)
      return problem('LIMIT_REACHED', { path: ['text'], message: 'Too many patterns are to be tried with so long a text.' })
    const match = pattern.find(text)
    if (match) matches.push({ pattern, match, flow })
  }
  return matches.toSorted(betterFirst)
}

const isWithin = (mode: DispatchMode, { definition: { kind }, cost }: Pattern, balancedTokens: number): boolean => {
  if (mode === 'FAST') return kind === 'infrastructure'
  return mode === 'COMPREHENSIVE' || kind !== 'hybrid' || cost <= balancedTokens
}

/** The last two only so that there is one order. */
function betterFirst(a: PatternMatch, b: PatternMatch): number {
  return (
    b.pattern.priority - a.pattern.priority ||
    b.match.length - a.match.length ||
    compare(a.pattern.definition.name, b.pattern.definition.name) ||
    compare(a.pattern.id, b.pattern.id)
  )
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** By pattern, of those that there still are, as they are known here: what the caller may do on their flows. One statement. */
async function findFlows(call: Call, patterns: readonly Pattern[]): Promise<Map<string, FlowToStart>> {
  const principal = requirePrincipal(call)
  const ids = patterns.map(({ id }) => id)
  const { rows } = await sql<FlowToStart & { triggerId: string }>`
    select g.id as "triggerId", t.id, v.id as "newestVersionId", ${levelOf(askerOf(rightsOf(principal)))} as level
    from sluice.triggers as g
    join sluice.flows as t on t.id = g.flow_id
    join sluice.flow_versions as v on v.flow_id = t.id and v.number = t.latest_number
    where g.id = any(${ids}::uuid[]) and g.removed_at is null`.execute(call.em.getKysely<unknown>())
  return new Map(rows.filter(({ level }) => level > 0).map(({ triggerId, ...flow }) => [triggerId, flow]))
}
