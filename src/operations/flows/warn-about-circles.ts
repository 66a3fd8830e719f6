/** Warnings about flows of one owner that call each other in a circle: one that holds a slot may wait for itself, by way of the others. */
import type { Issue } from '../../errors.ts'
import type { Definition } from '../../language/definition.ts'
import { flowCalls } from '../../language/flow-calls.ts'
import { IssueList } from '../../language/issue-list.ts'
import type { Call } from '../call.ts'

/** As deep as flows may call each other; and as many as are looked at. */
const MOST_STEPS = 10
const MOST_FLOWS = 100

interface Called {
  readonly name: string
  /** only so many of it run at once */
  readonly limited: boolean
  /** as they are written in its newest version */
  readonly calls: readonly string[]
}

interface Calls {
  /** by name, the owner's flows that it calls */
  readonly calls: ReadonlyMap<string, ReadonlySet<string>>
  readonly limited: ReadonlySet<string>
}

/** `ownerId`: whose flow it would be. That it calls itself is told by the linter. */
export async function warnAboutCircles({ services }: Call, definition: Definition, ownerId: string): Promise<Issue[]> {
  const { name } = definition
  const from = flowCalls(definition)
  if (from.length === 0) return []
  const { query } = services.database
  const [owner] = await query<{ handle: string }>('select handle from sluice.users where id = $1', [ownerId])
  /** undefined: of somebody else */
  const ownName = (flow: string): string | undefined => {
    const [own, of] = flow.split('/').reverse()
    return of === undefined || of === owner?.handle ? own : undefined
  }
  const own = from.map(({ flow, path }) => ({ flow: ownName(flow), path }))
  const first = { name, limited: definition.concurrency !== undefined, calls: from.map(({ flow }) => flow) }
  const { calls, limited } = await readCalls(first, ownName, (names) => query<Called>(CALLED, [ownerId, names]))
  const waits = [...leadingTo(calls, [name])].filter((one) => limited.has(one))
  const circles = leadingTo(calls, waits)
  const warnings = new IssueList()
  for (const { flow, path } of own)
    if (flow !== undefined && flow !== name && circles.has(flow)) warnings.add('DEADLOCK', [...path, 'flow'], MESSAGE, HINT)
  return warnings.issues
}

/** Call by call, as deep as they may go. */
async function readCalls(
  first: Called,
  ownName: (flow: string) => string | undefined,
  read: (names: readonly string[]) => Promise<Called[]>,
): Promise<Calls> {
  const calls = new Map<string, ReadonlySet<string>>()
  const limited = new Set<string>()
  for (let step = 0, next: readonly Called[] = [first]; step < MOST_STEPS && next.length > 0; step++) {
    for (const one of next) {
      calls.set(one.name, new Set(one.calls.flatMap((flow) => ownName(flow) ?? [])))
      if (one.limited) limited.add(one.name)
    }
    const unknown = new Set([...calls.values()].flatMap((called) => [...called].filter((flow) => !calls.has(flow))))
    next = unknown.size === 0 ? [] : await read([...unknown].slice(0, MOST_FLOWS - calls.size))
  }
  return { calls, limited }
}

const MESSAGE =
  'it calls this flow again, by itself or by way of others, and one of this circle lets only so many run at once: it may hold what another waits for'
const HINT = 'call flows without such a limit, or give it a key that differs'

/** Themselves, and what calls them, and what calls that. */
function leadingTo(calls: Calls['calls'], goals: Iterable<string>): ReadonlySet<string> {
  const seen = new Set(goals)
  // grows while it is walked
  for (const one of seen) for (const [flow, called] of calls) if (called.has(one)) seen.add(flow)
  return seen
}

const CALLED = `
  select f.name, v.definition -> 'concurrency' is not null as limited,
    jsonb_path_query_array(v.definition::jsonb -> 'steps', '$.** ? (@.type == "flow" && @.flow.type() == "string").flow') as calls
  from sluice.flows f join sluice.flow_versions v on v.flow_id = f.id and v.number = f.latest_number
  where f.owner_id = $1 and f.name = any($2::text[])`
