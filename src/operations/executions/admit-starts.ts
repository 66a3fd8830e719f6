/** Whether starts that waited may begin: with the rights of whoever asked for them, as they are now (C1, C2). */
import { sql } from 'kysely'
import { auditEntry } from '../../audit/record-audit.ts'
import type { AdmitStarts, DueStart } from '../../engine/refuse-starts.ts'
import { isProblem } from '../../errors.ts'
import { findStoredPrincipals } from '../../identity/stored-principals.ts'
import type { StoredPrincipal } from '../../identity/stored-principals.ts'
import { askTogether } from '../ask-together.ts'
import type { Services } from '../call.ts'
import { levelOf, mayStartExecutions } from '../permissions.ts'

const REASON = 'Whoever started it may not start this flow any more.'

/** In the order of `starts`. Two or three queries for all of them; each refusal is audited. */
export async function admitStarts(services: Services, starts: readonly DueStart[]): ReturnType<AdmitStarts> {
  const { database, engine, allow } = services
  const initiators = starts.map(({ initiatorId }) => initiatorId)
  const principals = await findStoredPrincipals(database, initiators, allow.roles)
  const there = starts.flatMap((start) => {
    const principal = principals.get(start.initiatorId)
    return principal ? [{ start, principal }] : []
  })
  const levels = await levelsOf(services, there)
  const admitted = new Set<DueStart>()
  for (const [at, { start, principal }] of there.entries()) {
    const program = await engine.program(start.flowVersionId)
    if (!isProblem(program) && mayStartExecutions(principal, { level: levels[at]! }, program)) admitted.add(start)
  }
  await Promise.all(starts.filter((start) => !admitted.has(start)).map((start) => note(services, start, principals)))
  return starts.map((start) => (admitted.has(start) ? undefined : REASON))
}

/** 0 where there is no such flow. */
async function levelsOf(
  { database }: Services,
  questions: readonly { start: DueStart; principal: StoredPrincipal }[],
): Promise<number[]> {
  const levels = questions.map(() => 0)
  if (questions.length === 0) return levels
  const principals = questions.map(({ principal }) => principal)
  const { questions: asked, asker } = askTogether(principals, 'flow_id uuid', (place) => ({
    flow_id: questions[place]!.start.flowId,
  }))
  const { rows } = await sql<{ place: number; level: number }>`
    select q.place, ${levelOf(asker)} as level
    from ${asked} join sluice.flows as t on t.id = q.flow_id`.execute(database.fork().getKysely<unknown>())
  for (const { place, level } of rows) levels[place] = level
  return levels
}

async function note(
  services: Services,
  { executionId, flowId, initiatorId }: DueStart,
  principals: ReadonlyMap<string, StoredPrincipal>,
): Promise<void> {
  const actor = principals.get(initiatorId) ?? { kind: 'SYSTEM' as const }
  const facts = { type: 'execution.startRefused', severity: 'NOTICE', success: false, errorCode: 'NOT_ALLOWED' } as const
  await services.refusals.record(initiatorId, auditEntry({ origin: {}, services }, { ...facts, executionId, flowId }, actor))
}
