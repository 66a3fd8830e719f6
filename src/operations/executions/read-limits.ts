/** What limits say now: how many executions somebody has running (A8), and how often a flow may still be started (C2). */
import { sql } from 'kysely'
import { Fault, isProblem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { findFlow, flowReference } from '../flows/find-flow.ts'
import { noteOther } from '../audit/note-reads.ts'
import { requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface RunningLimit {
  /** UUID */
  initiatorId: string
  running: number
  max: number
}

/** Of the caller, or of anybody for administrators; a link is about one execution alone. Throws FORBIDDEN. */
export async function readRunning(call: Call, initiatorId?: string): Promise<RunningLimit> {
  const principal = requirePrincipal(call)
  if (principal.kind === 'LINK') throw new Fault('FORBIDDEN')
  const whose = initiatorId ?? principal.actsAs
  if (whose !== principal.actsAs) {
    if (principal.kind !== 'USER' || principal.role !== 'ADMIN') return forbid(call, { type: 'limits.refused' })
    noteOther(call, 'runningOf', 1)
  }
  const { runningPerInitiator: max } = call.services.limits
  const { rows } = await sql<{ running: number }>`
    select count(*)::integer as running from (
      select from sluice.executions as e
      where e.initiator_id = ${whose} and e.ended_at is null and e.parent_id is null limit ${max}) as counted`.execute(
    call.em.getKysely<unknown>(),
  )
  return { initiatorId: whose, running: rows[0]!.running, max }
}

/** One rule of a flow's `rate`. */
export interface RateLeft {
  max: number
  perMs: number
  eachInitiator: boolean
  remaining: number
  resetMs: number
}

/** Of the newest version of a flow that the caller sees: its rules without a key; those with one depend on the input. Null: no such flow. */
export async function readRates(call: Call, flow: string): Promise<RateLeft[] | null> {
  const { engine } = call.services
  const found = await findFlow(call, flowReference(flow))
  if (isProblem(found)) {
    if (found.problem === 'AMBIGUOUS')
      throw new Fault('AMBIGUOUS', found.message, { extensions: { candidates: found.candidates } })
    return null
  }
  const version = await newestVersion(call, found.id)
  const program = version === undefined ? undefined : await engine.program(version)
  if (program === undefined || isProblem(program)) return null
  const left = await engine.ratesLeft({ flowId: found.id, initiatorId: requirePrincipal(call).actsAs, program })
  return left.map(({ rule: { max, windowSeconds, eachInitiator }, state: { remaining, resetMs } }) => ({
    ...{ max, perMs: windowSeconds * 1_000, eachInitiator, remaining, resetMs },
  }))
}

async function newestVersion(call: Call, flowId: string): Promise<string | undefined> {
  const { rows } = await sql<{ id: string }>`
    select v.id from sluice.flows as f join sluice.flow_versions as v on v.flow_id = f.id and v.number = f.latest_number
    where f.id = ${flowId}`.execute(call.em.getKysely<unknown>())
  return rows[0]?.id
}
