/** Lists the keys of the caller; those of everybody for administrators. */
import { sql } from 'kysely'
import { ApiKey } from '../../identity/entities/api-key.ts'
import type { Call } from '../call.ts'
import { readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requirePrincipal, waysToApiKeys } from '../permissions.ts'

export interface ApiKeyFilter {
  /** UUID */
  ownerId?: string | undefined
  /** neither revoked nor expired; false: one of these */
  live?: boolean | undefined
}

export async function listApiKeys(call: Call, { ownerId, live }: ApiKeyFilter, page: Page): Promise<ApiKey[]> {
  const ways = waysToApiKeys(requirePrincipal(call))
  const isLive = sql`(t.revoked_at is null and t.expires_at > now())`
  const filters = [
    ownerId === undefined ? [] : [sql`t.owner_id = ${ownerId}`],
    live === undefined ? [] : [live ? isLive : sql`not ${isLive}`],
  ].flat()
  return readRows(call, ApiKey, { table: 'sluice.api_keys', ways, filters, page })
}
