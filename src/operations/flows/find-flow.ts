/** Finds one flow by its id or its name: `"x"` is mine, else the only one that I can see; `"owner/x"` names the owner by handle. */
import { sql } from 'kysely'
import { Flow } from '../../engine/entities/flow.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { decodeId } from '../../ids.ts'
import type { Call } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'
import { noteRows } from '../audit/note-reads.ts'
import { requirePrincipal, visibleFlows, withLevel } from '../permissions.ts'
import type { Leveled } from '../permissions.ts'
import { selectRows } from '../select-rows.ts'
import type { Condition } from '../select-rows.ts'

const MAX_CANDIDATES = 10

/** `id`: a UUID. */
export type FlowReference = { id: string } | { name: string }

/** What a text means that is an id (`flow_...`) or a name. */
export function flowReference(text: string): FlowReference {
  const id = decodeId('flow', text)
  return id ? { id } : { name: text }
}

/** With what the caller may do on it. Problems: NOT_FOUND, AMBIGUOUS with the candidates that the caller can see. */
export async function findFlow(call: Call, by: FlowReference): Promise<Leveled<Flow> | Problem> {
  const principal = requirePrincipal(call)
  const named = 'id' in by ? sql`t.id = ${by.id}` : isCalled(by.name)
  if (!named) return problem('NOT_FOUND')
  const flows = await selectRows<Flow, never, { level: number }>(call, Flow, {
    where: sql`${named} and ${visibleFlows(principal)}`,
    then: sql`order by t.owner_id = ${principal.actsAs} desc, t.id limit ${MAX_CANDIDATES}`,
    also: withLevel(principal),
  })
  const [first, second] = flows
  if (!first) return problem('NOT_FOUND')
  if (!second || first.ownerId === principal.actsAs) return first
  return problem('AMBIGUOUS', { candidates: await namesWithOwner(call, flows) })
}

/** The same, for showing it. */
export async function getFlow(call: Call, by: FlowReference): Promise<Flow | Problem> {
  const flow = await findFlow(call, by)
  if (!isProblem(flow)) noteRows(call, Flow, [flow])
  return flow
}

/** What the caller may do on a flow, whether or not its scopes show it flows: 0 to 5. */
export async function findFlowLevel(call: Call, flowId: string): Promise<number> {
  const level = withLevel(requirePrincipal(call))
  const [flow] = await selectRows<Flow, never, { level: number }>(call, Flow, { where: sql`t.id = ${flowId}`, also: level })
  return flow?.level ?? 0
}

/** The parts of `owner/name` or `name`; undefined when nothing can be called so. */
export function nameOf(text: string): { name: string; owner?: string } | undefined {
  if (!isStorableText(text)) return undefined
  const slash = text.indexOf('/')
  if (slash < 0) return { name: text.trim() }
  return { name: text.slice(slash + 1).trim(), owner: text.slice(0, slash).trim() }
}

function isCalled(text: string): Condition | undefined {
  const called = nameOf(text)
  if (!called) return undefined
  const isNamed = sql`t.name = ${called.name}`
  if (called.owner === undefined) return isNamed
  return sql`${isNamed} and t.owner_id = (select u.id from sluice.users as u where u.handle = ${called.owner})`
}

async function namesWithOwner(call: Call, flows: readonly Flow[]): Promise<string[]> {
  const owners = await call.services.database.query<{ id: string; handle: string }>(
    'select id, handle from sluice.users where id = any($1)',
    [flows.map((flow) => flow.ownerId)],
  )
  const handles = new Map(owners.map(({ id, handle }) => [id, handle]))
  return flows.flatMap(({ ownerId, name }) => (handles.has(ownerId) ? [`${handles.get(ownerId)}/${name}`] : []))
}
