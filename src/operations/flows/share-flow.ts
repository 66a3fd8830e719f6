/** How sharing and un-sharing go: visible, managed, everything in one transaction or nothing, audited. */
import type { EntityManager } from '@mikro-orm/postgresql'
import { sql } from 'kysely'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { Flow } from '../../engine/entities/flow.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { NewGrant } from '../../identity/flow-grants.ts'
import type { Call } from '../call.ts'
import { findFlow } from './find-flow.ts'
import { actionOf, mayOnFlow, requirePrincipal, visibleFlows, withLevel } from '../permissions.ts'
import type { Leveled } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { selectRows } from '../select-rows.ts'

/** Most grants in one call. */
export const MAX_AT_ONCE = 100
/** `read`: what is asked for, told before the transaction, since it asks the database itself. */
interface SharingChange<Asked> {
  read: () => Promise<Asked | Problem>
  change: (em: EntityManager, asked: Asked) => Promise<readonly NewGrant[] | Problem>
}

const AUDIT = { share: 'flow.shared', unshare: 'flow.unshared' } as const

/**
 * `change` answers what was granted or taken away, or a problem before it has changed anything. Whether the caller manages the
 * flow is asked again with the flow's row locked: of two managers who un-share each other, one comes too late.
 * Problems: NOT_FOUND, those of `read` and `change`. Throws FORBIDDEN.
 */
export async function changeSharing<Asked extends object>(
  call: Call,
  verb: keyof typeof AUDIT,
  flowId: string,
  { read, change }: SharingChange<Asked>,
): Promise<{ flow: Leveled<Flow> } | Problem> {
  const principal = requirePrincipal(call)
  const seen = await findFlow(call, { id: flowId })
  if (isProblem(seen)) return seen
  if (!mayOnFlow(principal, 'MANAGE', seen)) return forbid(call, { type: `${AUDIT[verb]}Refused`, flowId })
  const asked = await read()
  if (isProblem(asked)) return asked
  const done = await call.services.database.transaction(async (em) => {
    const [now] = await selectRows<Flow, never, { level: number }>({ em, services: call.services }, Flow, {
      where: sql`t.id = ${flowId} and ${visibleFlows(principal)}`,
      then: sql`for no key update of t`,
      also: withLevel(principal),
    })
    if (!now || !mayOnFlow(principal, 'MANAGE', now)) return problem('NOT_FOUND')
    const grants = await change(em, asked)
    if (isProblem(grants)) return grants
    const metadata = { grants: grants.map(({ grantee, level }) => ({ grantee, action: actionOf(level) })) }
    await recordAudit(em, auditEntry(call, { type: AUDIT[verb], flowId, metadata }))
    return grants
  })
  if (isProblem(done)) return done
  const flow = await findFlow(call, { id: flowId })
  return isProblem(flow) ? { flow: seen } : { flow }
}
