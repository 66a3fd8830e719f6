/** Which flow a `flow` step means, and whether whoever started its execution may start it: asked each time a child is to start (C1, C2). */
import { sql } from 'kysely'
import { auditEntry } from '../../audit/record-audit.ts'
import { together } from '../../database/together.ts'
import type { ChildOrder, ChooseChild, ChosenChild } from '../../engine/acts/start-child.ts'
import { isProblem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import { findStoredPrincipals } from '../../identity/stored-principals.ts'
import type { StoredPrincipal } from '../../identity/stored-principals.ts'
import { askTogether } from '../ask-together.ts'
import type { Services } from '../call.ts'
import { nameOf } from '../flows/find-flow.ts'
import { levelOf, mayStartExecutions } from '../permissions.ts'

/** Children that are to start at once are asked about in the same two or three statements. `services` is there when the first one is. */
export function createChooseChild(services: () => Services): ChooseChild {
  return together((orders: readonly ChildOrder[]) => chooseAll(services(), orders))
}

interface Found {
  place: number
  flowId: string
  flowVersionId: string
  level: number
}

async function chooseAll(services: Services, orders: readonly ChildOrder[]): Promise<ChosenChild[]> {
  const { database, allow } = services
  const initiators = orders.map(({ initiatorId }) => initiatorId)
  const principals = await findStoredPrincipals(database, initiators, allow.roles)
  const there = orders.flatMap((order, place) => {
    const principal = principals.get(order.initiatorId)
    return principal ? [{ order, place, principal }] : []
  })
  const found = new Map((await lookForAll(services, there)).map((row) => [there[row.place]!.place, row]))
  return Promise.all(orders.map((order, place) => choose(services, order, principals.get(order.initiatorId), found.get(place))))
}

/** A name alone is that of a flow of the same owner, whoever runs it: others cannot put theirs in its place. */
async function lookForAll(
  { database }: Services,
  questions: readonly { order: ChildOrder; principal: StoredPrincipal }[],
): Promise<Found[]> {
  if (questions.length === 0) return []
  const { questions: asked, asker } = askTogether(
    questions.map(({ principal }) => principal),
    'parent_flow uuid, name text, owner text, version integer',
    (place) => {
      const { flowId, flow, version } = questions[place]!.order
      return { parent_flow: flowId, ...nameOf(flow), ...(version !== undefined && { version }) }
    },
  )
  const { rows } = await sql<Found>`
    select q.place, t.id as "flowId", v.id as "flowVersionId", ${levelOf(asker)} as level
    from ${asked}
    join sluice.flows as t on t.name = q.name and t.owner_id = case
      when q.owner is null then (select p.owner_id from sluice.flows as p where p.id = q.parent_flow)
      else (select u.id from sluice.users as u where u.handle = q.owner) end
    join sluice.flow_versions as v on v.flow_id = t.id and v.number = coalesce(q.version, t.latest_number)
  `.execute(database.fork().getKysely<unknown>())
  return rows
}

async function choose(
  services: Services,
  order: ChildOrder,
  principal: StoredPrincipal | undefined,
  found: Found | undefined,
): Promise<ChosenChild> {
  const program = found && (await services.engine.program(found.flowVersionId))
  if (!principal || !found || isProblem(program) || !mayStartExecutions(principal, found, program ?? {})) {
    await noteRefusal(services, order, principal)
    return {
      ok: false,
      code: 'FLOW_NOT_FOUND',
      message: `There is no flow ${order.flow}, or whoever started this may not start it.`,
    }
  }
  const metadata = { parent: encodeId('execution', order.executionId) }
  const facts = { type: 'execution.started', flowId: found.flowId, metadata } as const
  return { ok: true, ...found, audit: [auditEntry({ origin: {}, services }, facts, principal)] }
}

async function noteRefusal(services: Services, order: ChildOrder, principal: StoredPrincipal | undefined): Promise<void> {
  const { initiatorId, executionId, flowId } = order
  const facts = { type: 'execution.startRefused', severity: 'NOTICE', success: false, errorCode: 'FLOW_NOT_FOUND' } as const
  const entry = auditEntry({ origin: {}, services }, { ...facts, executionId, flowId }, principal ?? { kind: 'SYSTEM' as const })
  await services.refusals.record(initiatorId, entry)
}
