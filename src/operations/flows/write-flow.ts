/** The rows of a flow, its versions and its triggers, written in the caller's transaction; definitions have been checked. */
import { UniqueConstraintViolationException } from '@mikro-orm/postgresql'
import type { EntityManager } from '@mikro-orm/postgresql'
import { FlowVersion } from '../../engine/entities/flow-version.ts'
import { Flow } from '../../engine/entities/flow.ts'
import { newUuid } from '../../ids.ts'
import { retentionDays } from '../../language/around/retention.ts'
import type { Definition } from '../../language/definition.ts'
import type { JsonObject } from '../../language/values.ts'
import { saveSchedules } from '../../triggers/save-schedules.ts'
import { saveTriggers } from '../../triggers/save-triggers.ts'
import { SCHEMA_LEVEL } from '../../release.ts'

export async function insertFlow(
  em: EntityManager,
  { ownerId, definition, visibility }: { ownerId: string; definition: Definition; visibility: Flow['visibility'] },
): Promise<{ flow: Flow; flowVersion: FlowVersion }> {
  const { name, description = null } = definition
  const payloadDays = payloadDaysOf(definition)
  const flow = em.create(Flow, { id: newUuid(), ownerId, name, description, visibility, latestNumber: 1, payloadDays })
  await em.flush()
  return { flow, flowVersion: await insertVersion(em, flow, definition, ownerId) }
}

/** The next version of a flow. The flow is flushed first: of two writers one is told that it is stale before it writes a version. */
export async function appendVersion(
  em: EntityManager,
  flow: Flow,
  definition: Definition,
  createdBy: string,
): Promise<FlowVersion> {
  flow.latestNumber += 1
  flow.payloadDays = payloadDaysOf(definition)
  if (definition.description !== undefined) flow.description = definition.description
  await em.flush()
  return insertVersion(em, flow, definition, createdBy)
}

const payloadDaysOf = ({ retention }: Definition): number | null => (retention ? retentionDays(retention) : null)

async function insertVersion(em: EntityManager, flow: Flow, definition: Definition, createdBy: string): Promise<FlowVersion> {
  const json = definition as unknown as JsonObject
  const version = em.create(FlowVersion, {
    id: newUuid(),
    flowId: flow.id,
    number: flow.latestNumber,
    definition: json,
    createdBy,
    level: SCHEMA_LEVEL.level,
  })
  await em.flush()
  const saved = await saveTriggers(em, { flowId: flow.id, triggers: definition.triggers ?? [], publishedBy: createdBy })
  await saveSchedules(em, saved)
  return version
}

/** Whether a write failed because the owner has a flow of this name. */
export const isNameTaken = (error: unknown): boolean =>
  error instanceof UniqueConstraintViolationException && (error as { constraint?: string }).constraint === 'flows_owner_name_key'
