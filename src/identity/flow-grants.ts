/** Grants on flows: the rows that say what somebody may do on a flow that is not theirs. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { queryIn } from '../database/database.ts'
import { newUuid } from '../ids.ts'
import { recordFlowChange } from './auth-changes.ts'

export interface NewGrant {
  /** `user:<uuid>`, `role:USER`, `agent:ceo` or `everyone` */
  grantee: string
  /** 1 VIEW, 2 EXECUTE, 3 EDIT, 4 MANAGE */
  level: number
}

/** Each grantee has one grant on a flow: a new one takes the place of the old. Known to every process within a second. */
export async function putGrants(
  em: EntityManager,
  flowId: string,
  grantedBy: string,
  grants: readonly NewGrant[],
): Promise<void> {
  const grantees = grants.map(({ grantee }) => grantee)
  const levels = grants.map(({ level }) => level)
  await queryIn(em, PUT, [grants.map(() => newUuid()), flowId, grantees, levels, grantedBy])
  await recordFlowChange(em, flowId, grantees)
}

const PUT = `
insert into sluice.flow_grants (id, flow_id, grantee, user_id, level, granted_by)
select g.id, $2, g.grantee, case when g.grantee like 'user:%' then substr(g.grantee, 6)::uuid end, g.level, $5
from unnest($1::uuid[], $3::text[], $4::smallint[]) as g (id, grantee, level) order by g.grantee
on conflict (grantee, flow_id) do update set level = excluded.level, granted_by = excluded.granted_by`

/** Takes away all of these grants of the flow and tells what they were; none, and undefined, when one of them is not of this flow. */
export async function removeGrants(
  em: EntityManager,
  flowId: string,
  ids: readonly string[],
): Promise<readonly NewGrant[] | undefined> {
  const wanted = [...new Set(ids)]
  const found = await queryIn<NewGrant>(em, FIND, [flowId, wanted])
  if (found.length !== wanted.length) return undefined
  await queryIn(em, 'delete from sluice.flow_grants where flow_id = $1 and id = any($2)', [flowId, wanted])
  await recordFlowChange(
    em,
    flowId,
    found.map(({ grantee }) => grantee),
  )
  return found
}

const FIND = 'select grantee, level from sluice.flow_grants where flow_id = $1 and id = any($2) order by id for update'

/** What the new owner of a flow was granted on it says nothing any more. */
export async function forgetGrantOf(em: EntityManager, flowId: string, userId: string): Promise<void> {
  await queryIn(em, 'delete from sluice.flow_grants where flow_id = $1 and grantee = $2', [flowId, `user:${userId}`])
}
