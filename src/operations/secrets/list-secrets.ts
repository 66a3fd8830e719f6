/** Lists the caller's secrets: their names, never their values. */
import { sql } from 'kysely'
import { Secret } from '../../identity/entities/secret.ts'
import type { Call } from '../call.ts'
import { readRows } from '../page.ts'
import type { Page } from '../page.ts'
import { requirePrincipal, visibleSecrets } from '../permissions.ts'

export const listSecrets = (call: Call, page: Page): Promise<Secret[]> =>
  readRows(call, Secret, {
    table: 'sluice.secrets',
    ways: [{ from: sql`(select 1) as once`, where: visibleSecrets(requirePrincipal(call)) }],
    filters: [],
    page,
  })
