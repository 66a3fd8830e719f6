/** Changes what is said about a flow: its description, and who may see it. */
import type { Flow } from '../../engine/entities/flow.ts'
import type { Problem } from '../../errors.ts'
import { recordFlowChange } from '../../identity/auth-changes.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { editFlow } from './edit-flow.ts'
import { requirePrincipal } from '../permissions.ts'

export interface UpdateFlow {
  /** UUID */
  flowId: string
  expectedVersion: number
  /** undefined = as it is */
  visibility?: Flow['visibility'] | undefined
  /** undefined = as it is, null = none */
  description?: string | null | undefined
}

const MAX_DESCRIPTION = 500
const AUDIT = { done: 'flow.updated', refused: 'flow.updateRefused' }

/** Problems: NOT_FOUND, STALE_VERSION, LIMIT_REACHED, VALIDATION. Throws FORBIDDEN. */
export async function updateFlow(
  call: Call,
  { flowId, expectedVersion, visibility, description }: UpdateFlow,
): Promise<Flow | Problem> {
  requirePrincipal(call)
  const check = new ArgumentCheck()
  check.text(['description'], description ?? undefined, MAX_DESCRIPTION)
  if (check.problem) return check.problem
  return editFlow(call, { flowId, expectedVersion, action: visibility ? 'MANAGE' : 'EDIT', audit: AUDIT }, async (em, flow) => {
    if (visibility) {
      flow.visibility = visibility
      await recordFlowChange(em, flowId, ['everyone'])
    }
    if (description !== undefined) flow.description = description
    await em.flush()
    return flow
  })
}
