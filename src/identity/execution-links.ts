/** Capability links: short-lived tokens for one execution, to read it or to answer what it asks. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import type { Database } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import { recordAuthChange } from './auth-changes.ts'
import { hashOf, isToken, newToken } from './opaque-tokens.ts'
import type { LinkPrincipal, Role } from './principal.ts'

const PREFIX = 'sll_'

export interface NewExecutionLink {
  executionId: string
  flowId: string
  /** the user whose rights it lends */
  issuerId: string
  may: LinkPrincipal['may']
  /** ms from now */
  lifetimeMs: number
}

/** `token` is shown once: only its hash is stored. */
export async function insertExecutionLink(em: EntityManager, link: NewExecutionLink): Promise<{ id: string; token: string }> {
  const id = newUuid()
  const token = newToken(PREFIX)
  const { executionId, flowId, issuerId, may, lifetimeMs } = link
  await queryIn(em, INSERT, [id, executionId, flowId, issuerId, may, hashOf(token), lifetimeMs])
  return { id, token }
}

const INSERT = `
insert into sluice.execution_links (id, execution_id, flow_id, issuer_id, may, hash, expires_at)
values ($1, $2, $3, $4, $5, $6, now() + $7::float8 * interval '1 millisecond')`

/** Ends the link, for every process within a second; false when it had ended. */
export async function endExecutionLink(em: EntityManager, id: string): Promise<boolean> {
  const end = 'update sluice.execution_links set revoked_at = now() where id = $1 and revoked_at is null returning id'
  const ended = (await queryIn(em, end, [id])).length > 0
  if (ended) await recordAuthChange(em, `link:${id}`)
  return ended
}

export const isExecutionLink = (token: string): boolean => isToken(PREFIX, token)

/** Links by their tokens or their ids, in one query; those that were revoked, or whose maker is gone, are not there. */
export async function findLinks(
  database: Pick<Database, 'query'>,
  by: { tokens: readonly string[] } | { ids: readonly string[] },
): Promise<ReadonlyMap<string, LinkPrincipal>> {
  const [column, values] = 'ids' in by ? ['id', by.ids] : ['hash', by.tokens.map(hashOf)]
  const rows = await database.query<LinkRow>(`${FIND} and l.${column} = any($1)`, [values])
  return new Map(
    rows.map(({ issuerId, issuerRole, endsAt: expiresAt, ...link }) => [
      link.id,
      { ...link, kind: 'LINK', actsAs: issuerId, role: 'VIEWER', issuer: { id: issuerId, role: issuerRole }, expiresAt },
    ]),
  )
}

interface LinkRow {
  id: string
  executionId: string
  issuerId: string
  issuerRole: Role
  may: LinkPrincipal['may']
  endsAt: number
}

const FIND = `
select l.id, l.execution_id as "executionId", l.issuer_id as "issuerId", u.role as "issuerRole", l.may,
  floor(extract(epoch from l.expires_at) * 1000)::float8 as "endsAt"
from sluice.execution_links l
join sluice.users u on u.id = l.issuer_id
where l.revoked_at is null and u.disabled_at is null`
