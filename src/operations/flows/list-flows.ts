/** Lists the flows that the caller may see. */
import { sql } from 'kysely'
import { Flow } from '../../engine/entities/flow.ts'
import type { Call } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'
import { readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requirePrincipal, waysToFlows } from '../permissions.ts'

export interface FlowFilter {
  /** exactly this name, whoever owns it */
  name?: string | undefined
  /** the owner's handle */
  owner?: string | undefined
  visibility?: Flow['visibility'] | undefined
}

export async function listFlows(call: Call, { name, owner, visibility }: FlowFilter, page: Page): Promise<Flow[]> {
  const ways = waysToFlows(requirePrincipal(call))
  if (![name, owner].every((text) => text === undefined || isStorableText(text))) return []
  const filters = [
    name === undefined ? [] : [sql`t.name = ${name}`],
    owner === undefined ? [] : [sql`t.owner_id = (select id from sluice.users where handle = ${owner})`],
    visibility === undefined ? [] : [sql`t.visibility = ${visibility}`],
  ].flat()
  return readRows(call, Flow, { table: 'sluice.flows', ways, filters, page })
}
