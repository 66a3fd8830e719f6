/** The patterns that match a text, of those that the caller may run (C11). */
import { sql } from 'kysely'
import { rightsOf } from '../../identity/grantees.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { RegexMatch } from '../../language/regex.ts'
import type { Pattern } from '../../triggers/patterns/pattern-set.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import type { FlowToStart } from '../flows/find-flow-to-start.ts'
import { askerOf, levelOf, mayStartExecutions, requirePrincipal } from '../permissions.ts'

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
  flow: PatternFlow
}

interface PatternFlow extends FlowToStart {
  /** the caller's own, or an administrator's */
  isTrusted: boolean
}

export const MAX_TEXT = 4_000
/** Steps of regular expressions, some tens of milliseconds: patterns in their thousands that match everything are not run all. */
const MOST_WORK = 20_000_000
/** Then patterns of flows that others share are not tried. */
const MOST_WORK_FOR_OTHERS = 5_000_000
/** Nor more of them that match: the program of each has to be there to know who may start it. */
const MOST_MATCHES_OF_OTHERS = 50

/**
 * The best first: those of one's own flows and of administrators' before those of others; by priority, then the longest match, then by
 * name. With `first` no more than are needed to know the best one. Problems: VALIDATION, LIMIT_REACHED when there are more and larger patterns than can be tried.
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
  let ofOthers = 0
  const startable = near.flatMap((pattern) => {
    const flow = flows.get(pattern.id)
    return flow ? [{ pattern, flow }] : []
  })
  for (const { pattern, flow } of startable.toSorted(beforeOthers)) {
    if (first && matches.length > 0 && beforeOthers(matches[0]!, { pattern, flow }) < 0) break
    work += pattern.size * text.length
    // others must not keep anybody from an answer by how much there is to try
    if (!flow.isTrusted && work > MOST_WORK_FOR_OTHERS) break
    if (work > MOST_WORK)
      return problem('LIMIT_REACHED', { path: ['text'], message: 'Too many patterns are to be tried with so long a text.' })
    const match = pattern.find(text)
    if (!match) continue
    if (!flow.isTrusted && ++ofOthers > MOST_MATCHES_OF_OTHERS) break
    const program = await call.services.engine.program(flow.newestVersionId)
    if (!isProblem(program) && mayStartExecutions(principal, flow, program)) matches.push({ pattern, match, flow })
  }
  return matches.toSorted(betterFirst)
}

const isWithin = (mode: DispatchMode, { definition: { kind }, cost }: Pattern, balancedTokens: number): boolean => {
  if (mode === 'FAST') return kind === 'infrastructure'
  return mode === 'COMPREHENSIVE' || kind !== 'hybrid' || cost <= balancedTokens
}

/** Whoever shares a flow with everybody says themselves how urgent it is: that must not win them what others ask their own flows. */
const beforeOthers = (a: Pick<PatternMatch, 'pattern' | 'flow'>, b: Pick<PatternMatch, 'pattern' | 'flow'>): number =>
  Number(b.flow.isTrusted) - Number(a.flow.isTrusted) || b.pattern.priority - a.pattern.priority

/** The last two only so that there is one order. */
function betterFirst(a: PatternMatch, b: PatternMatch): number {
  return (
    beforeOthers(a, b) ||
    b.match.length - a.match.length ||
    compare(a.pattern.definition.name, b.pattern.definition.name) ||
    compare(a.pattern.id, b.pattern.id)
  )
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** By pattern, of those that there still are, as they are known here: what the caller may do on their flows. One statement. */
async function findFlows(call: Call, patterns: readonly Pattern[]): Promise<Map<string, PatternFlow>> {
  const principal = requirePrincipal(call)
  const ids = patterns.map(({ id }) => id)
  const { rows } = await sql<PatternFlow & { triggerId: string }>`
    select g.id as "triggerId", t.id, v.id as "newestVersionId", ${levelOf(askerOf(rightsOf(principal)))} as level,
      t.owner_id = ${principal.actsAs}::uuid or exists (select from sluice.users as u where u.id = t.owner_id and u.role = 'ADMIN') as "isTrusted"
    from sluice.triggers as g
    join sluice.flows as t on t.id = g.flow_id
    join sluice.flow_versions as v on v.flow_id = t.id and v.number = t.latest_number
    where g.id = any(${ids}::uuid[]) and g.removed_at is null`.execute(call.em.getKysely<unknown>())
  return new Map(rows.filter(({ level }) => level > 0).map(({ triggerId, ...flow }) => [triggerId, flow]))
}
