/** Gives a flow to somebody else. Who has grants on it keeps them; who gave it away has none. */
import type { Flow } from '../../engine/entities/flow.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { recordFlowChange } from '../../identity/auth-changes.ts'
import { forgetGrantOf } from '../../identity/flow-grants.ts'
import type { Call } from '../call.ts'
import { editFlow } from './edit-flow.ts'
import { findPeople } from '../people/find-people.ts'
import { requirePerson } from '../permissions.ts'
import { isNameTaken } from './write-flow.ts'

export interface TransferFlowOwnership {
  /** UUID */
  flowId: string
  /** id or handle */
  to: string
  expectedVersion: number
}

const AUDIT = { done: 'flow.transferred', refused: 'flow.transferRefused' }

/**
 * The flow as it is afterwards, which the caller may not see any more. Problems: NOT_FOUND, STALE_VERSION, LIMIT_REACHED, VALIDATION
 * (CANNOT_RECEIVE, whatever the reason: that they have a flow of this name is theirs to know). Throws FORBIDDEN.
 */
export async function transferFlowOwnership(
  call: Call,
  { flowId, to, expectedVersion }: TransferFlowOwnership,
): Promise<Flow | Problem> {
  requirePerson(call)
  try {
    return await editFlow<Flow | Problem>(call, { flowId, expectedVersion, action: 'OWN', audit: AUDIT }, async (em, flow) => {
      const person = (await findPeople(call, [to])).get(to)
      if (!person || person.role === 'VIEWER' || person.id === flow.ownerId) return cannotReceive()
      const concerned = [flow.ownerId, person.id].map((id) => `user:${id}`)
      flow.ownerId = person.id
      await em.flush()
      await forgetGrantOf(em, flowId, person.id)
      await recordFlowChange(em, flowId, concerned)
      return flow
    })
  } catch (error) {
    if (isNameTaken(error)) return cannotReceive()
    throw error
  }
}

function cannotReceive(): Problem {
  const issue = { code: 'CANNOT_RECEIVE', path: ['to'], message: 'There is nobody of this name who can take it over.' }
  return problem('VALIDATION', { issues: [issue] })
}
