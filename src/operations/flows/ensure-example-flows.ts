/** Loads the example flows at the start of a development server: created when they are missing, published again when they changed. */
import { OptimisticLockError } from '@mikro-orm/postgresql'
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import type { AuditFacts } from '../../audit/record-audit.ts'
import type { AuditEntry } from '../../audit/audit-entry.ts'
import { FlowVersion } from '../../engine/entities/flow-version.ts'
import { Flow } from '../../engine/entities/flow.ts'
import { validateDefinition } from '../../language/validate.ts'
import type { Definition } from '../../language/definition.ts'
import type { Services } from '../call.ts'
import { canonicalJson } from '../../canonical-json.ts'
import { appendVersion, insertFlow, isNameTaken } from './write-flow.ts'

/**
 * Public, owned by `ownerId` (a UUID). Servers that start at once do it once. Those that read sources which are not configured are left out;
 * throws when an example is not a valid definition for another reason.
 */
export async function ensureExampleFlows(services: Services, ownerId: string, definitions: readonly Definition[]): Promise<void> {
  for (const example of definitions) {
    const { definition, issues } = validateDefinition(example, services.allow)
    // what it reads is not configured here
    if (issues.length > 0 && issues.every(({ code }) => code === 'UNKNOWN_SOURCE')) continue
    if (!definition) throw new Error(`The example flow "${example.name}" is not valid: ${JSON.stringify(issues)}`)
    await ensureFlow(services, ownerId, definition).catch((error: unknown) => {
      // Another server that starts has just written it.
      if (!isNameTaken(error) && !(error instanceof OptimisticLockError)) throw error
    })
  }
}

function ensureFlow(services: Services, ownerId: string, definition: Definition): Promise<void> {
  return services.database.transaction(async (em) => {
    const flow = await em.findOne(Flow, { ownerId, name: definition.name })
    if (!flow) {
      const { flow: made } = await insertFlow(em, { ownerId, definition, visibility: 'PUBLIC' })
      return recordAudit(em, bySystem(services, { type: 'flow.created', flowId: made.id, metadata: { visibility: 'PUBLIC' } }))
    }
    const latest = await em.findOneOrFail(FlowVersion, { flowId: flow.id, number: flow.latestNumber })
    if (canonicalJson(latest.definition) === canonicalJson(definition)) return
    await appendVersion(em, flow, definition, ownerId)
    const { latestNumber, version } = flow
    await recordAudit(em, bySystem(services, { type: 'flow.published', flowId: flow.id, metadata: { latestNumber, version } }))
  })
}

const bySystem = (services: Services, facts: AuditFacts): AuditEntry => ({
  ...auditEntry({ origin: {}, services }, facts),
  actorKind: 'SYSTEM',
})
