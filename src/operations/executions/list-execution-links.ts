/** Lists the links to one execution that the caller may see: its own, and all of them on flows that it manages. */
import { sql } from 'kysely'
import { ExecutionLink } from '../../identity/entities/execution-link.ts'
import type { Call } from '../call.ts'
import { EVERYWHERE, readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requirePrincipal, visibleExecutionLinks } from '../permissions.ts'

/** `executionId`: a UUID. */
export async function listExecutionLinks(call: Call, executionId: string, page: Page): Promise<ExecutionLink[]> {
  const where = sql`t.execution_id = ${executionId} and ${visibleExecutionLinks(requirePrincipal(call))}`
  return readRows(call, ExecutionLink, { table: 'sluice.execution_links', ways: [{ ...EVERYWHERE, where }], filters: [], page })
}
