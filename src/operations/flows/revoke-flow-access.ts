/** Takes grants of a flow away: all of the list, or nothing. What stood on them ends within a second. */
import type { Flow } from '../../engine/entities/flow.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { removeGrants } from '../../identity/flow-grants.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import type { Leveled } from '../permissions.ts'
import { changeSharing, MAX_AT_ONCE } from './share-flow.ts'

export interface RevokeFlowAccess {
  /** UUID */
  flowId: string
  /** UUIDs of grants of this flow */
  grantIds: readonly string[]
}

/** The flow as it is afterwards. Problems: NOT_FOUND (the flow, or any of the grants on it), VALIDATION. Throws FORBIDDEN. */
export async function revokeFlowAccess(
  call: Call,
  { flowId, grantIds }: RevokeFlowAccess,
): Promise<{ flow: Leveled<Flow> } | Problem> {
  return changeSharing(call, 'unshare', flowId, {
    read: () => Promise.resolve(checkIds(grantIds)),
    change: async (em, ids) => (await removeGrants(em, flowId, ids)) ?? problem('NOT_FOUND', { path: ['grantIds'] }),
  })
}

function checkIds(grantIds: readonly string[]): readonly string[] | Problem {
  const check = new ArgumentCheck()
  if (grantIds.length < 1 || grantIds.length > MAX_AT_ONCE)
    check.add('INVALID_LENGTH', ['grantIds'], `It must have 1 to ${MAX_AT_ONCE} items.`)
  return check.problem ?? grantIds
}
