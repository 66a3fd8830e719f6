/** Finds one flow by its id or its name: `"x"` is mine, else the only one that I can see; `"owner/x"` names the owner by handle. */
import { sql } from 'kysely'
import { Flow } from '../engine/entities/flow.ts'
import { problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { decodeId } from '../ids.ts'
import type { Call } from './call.ts'
import { isStorableText } from './check-arguments.ts'
import { requirePrincipal, visibleFlows } from './permissions.ts'
import { selectRows } from './select-rows.ts'
import type { Condition } from './select-rows.ts'

const MAX_CANDIDATES = 10

/** `id`: a UUID. */
export type FlowReference = { id: string } | { name: string }

/** What a text means that is an id (`flow_...`) or a name. */
export function flowReference(text: string): FlowReference {
  const id = decodeId('flow', text)
  return id ? { id } : { name: text }
}

/** Problems: NOT_FOUND, AMBIGUOUS with the candidates that the caller can see. */
export const findFlow = (call: Call, by: FlowReference): Promise<Flow | Problem> => find<Flow>(call, by, sql``)

/** With the id of its newest version, in the same statement. */
export const findFlowToStart = (call: Call, by: FlowReference): Promise<(Flow & { newestVersionId: string }) | Problem> =>
  find(
    call,
    by,
    sql`, (select v.id from sluice.flow_versions as v where v.flow_id = t.id and v.number = t.latest_number) as "newestVersionId"`,
  )

async function find<Found extends Flow>(call: Call, by: FlowReference, also: Condition): Promise<Found | Problem> {
  const principal = requirePrincipal(call)
  const named = 'id' in by ? sql`t.id = ${by.id}` : isCalled(by.name)
  if (!named) return problem('NOT_FOUND')
  const flows = await selectRows(call, Flow, {
    where: sql`${named} and ${visibleFlows(principal)}`,
    then: sql`order by t.owner_id = ${principal.id} desc, t.id limit ${MAX_CANDIDATES}`,
    also,
  })
  const [first, second] = flows as Found[]
  if (!first) return problem('NOT_FOUND')
  if (!second || first.ownerId === principal.id) return first
  return problem('AMBIGUOUS', { candidates: await namesWithOwner(call, flows) })
}

/** `owner/name` or `name`; undefined when nothing can be called so. */
function isCalled(text: string): Condition | undefined {
  if (!isStorableText(text)) return undefined
  const slash = text.indexOf('/')
  const isNamed = sql`t.name = ${text.slice(slash + 1).trim()}`
  if (slash < 0) return isNamed
  return sql`${isNamed} and t.owner_id = (select u.id from sluice.users as u where u.handle = ${text.slice(0, slash).trim()})`
}

async function namesWithOwner(call: Call, flows: readonly Flow[]): Promise<string[]> {
  const owners = await call.services.database.query<{ id: string; handle: string }>(
    'select id, handle from sluice.users where id = any($1)',
    [flows.map((flow) => flow.ownerId)],
  )
  const handles = new Map(owners.map(({ id, handle }) => [id, handle]))
  return flows.flatMap(({ ownerId, name }) => (handles.has(ownerId) ? [`${handles.get(ownerId)}/${name}`] : []))
}
