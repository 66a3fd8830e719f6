/** Publishes a new version of a flow; executions that run keep the version they began with. */
import type { FlowVersion } from '../../engine/entities/flow-version.ts'
import type { Flow } from '../../engine/entities/flow.ts'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Definition } from '../../language/definition.ts'
import type { Call } from '../call.ts'
import { canonicalJson } from '../../canonical-json.ts'
import { checkDefinition } from './check-definition.ts'
import { checkSecrets } from '../secrets/check-secrets.ts'
import { editFlow } from './edit-flow.ts'
import { loadDefinitions, loadNewestVersions } from '../load-by-id.ts'
import { mayPublishTriggers, requirePrincipal } from '../permissions.ts'
import type { FlowAction } from '../permissions.ts'
import { forbid } from '../refuse.ts'
import { appendVersion } from './write-flow.ts'

export interface PublishFlowVersion {
  /** UUID */
  flowId: string
  definition: unknown
  expectedVersion: number
}

const AUDIT = { done: 'flow.published', refused: 'flow.publishingRefused' }

/** Problems: NOT_FOUND, STALE_VERSION, LIMIT_REACHED, VALIDATION (NAME_CHANGED when the definition has another name). Throws FORBIDDEN. */
export async function publishFlowVersion(
  call: Call,
  { flowId, definition, expectedVersion }: PublishFlowVersion,
): Promise<{ flow: Flow; flowVersion: FlowVersion } | Problem> {
  const principal = requirePrincipal(call)
  const checked = await checkDefinition(call, definition)
  if (!checked.ok) return checked.problem
  return editFlow<{ flow: Flow; flowVersion: FlowVersion } | Problem>(
    call,
    {
      ...{ flowId, expectedVersion, action: (flow) => neededFor(call, flow, checked.definition), audit: AUDIT },
      async check(flow) {
        if (checked.definition.name !== flow.name) return nameChanged(flow.name)
        return checkSecrets(call, checked.definition, flow.ownerId)
      },
    },
    async (em, flow) => ({ flow, flowVersion: await appendVersion(em, flow, checked.definition, principal.actsAs) }),
  )
}

/** Who may do what, and what starts it, is not for those who only edit. */
async function neededFor(call: Call, flow: Pick<Flow, 'id' | 'latestNumber'>, definition: Definition): Promise<FlowAction> {
  const [newest] = await loadNewestVersions(call, [flow])
  const [before] = await loadDefinitions(call, newest ? [newest.id] : [])
  const same = (field: 'permissions' | 'triggers' | 'onFailure'): boolean =>
    canonicalJson(before?.[field] ?? null) === canonicalJson(definition[field] ?? null)
  const startsFlows = Boolean(definition.triggers?.length || definition.onFailure)
  if ((startsFlows || !(same('triggers') && same('onFailure'))) && !mayPublishTriggers(requirePrincipal(call)))
    return forbid(call, { type: AUDIT.refused, flowId: flow.id })
  return same('permissions') && same('triggers') ? 'EDIT' : 'MANAGE'
}

function nameChanged(name: string): Problem {
  const issue = {
    code: 'NAME_CHANGED',
    path: ['name'],
    message: `The flow is called "${name}"; every version of it must be.`,
    hint: name,
  }
  return problem('VALIDATION', { path: ['definition'], issues: [issue] })
}
