/** Creates a flow, with its first version, owned by the caller. */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import type { Flow } from '../../engine/entities/flow.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { checkDefinition } from './check-definition.ts'
import { checkSecrets } from '../secrets/check-secrets.ts'
import { limitFlowWrites } from './limit-flow-writes.ts'
import { mayCreateFlows, mayPublishTriggers, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { insertFlow, isNameTaken } from './write-flow.ts'

export interface CreateFlow {
  definition: unknown
  /** PRIVATE unless said otherwise */
  visibility?: Flow['visibility'] | undefined
}

/** Problems: VALIDATION (issues' paths lead into the definition; NAME_TAKEN when you have a flow of this name), LIMIT_REACHED. Throws FORBIDDEN. */
export async function createFlow(call: Call, { definition, visibility = 'PRIVATE' }: CreateFlow): Promise<Flow | Problem> {
  const principal = requirePrincipal(call)
  if (!mayCreateFlows(principal)) return forbid(call, { type: 'flow.creationRefused' })
  const checked = await checkDefinition(call, definition)
  if (!checked.ok) return checked.problem
  if ((checked.definition.triggers?.length || checked.definition.onFailure) && !mayPublishTriggers(principal))
    return forbid(call, { type: 'flow.creationRefused' })
  const refused = await checkSecrets(call, checked.definition, principal.actsAs)
  if (refused) return refused
  const limited = await limitFlowWrites(call)
  if (limited) return limited
  try {
    return await call.services.database.transaction(async (em) => {
      const { flow } = await insertFlow(em, { ownerId: principal.actsAs, definition: checked.definition, visibility })
      await recordAudit(em, auditEntry(call, { type: 'flow.created', flowId: flow.id, metadata: { visibility } }))
      return flow
    })
  } catch (error) {
    if (!isNameTaken(error)) throw error
    const issue = { code: 'NAME_TAKEN', path: ['name'], message: 'You have a flow of this name; publish a new version of it.' }
    return problem('VALIDATION', { path: ['definition'], issues: [issue] })
  }
}
