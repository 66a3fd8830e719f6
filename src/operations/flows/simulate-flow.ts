/** Runs a definition on a virtual clock with the results that a case gives (no side effects), and writes nothing. */
import { setImmediate as otherWork } from 'node:timers/promises'
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { compile } from '../../language/compile.ts'
import { loadSqlParserFor } from '../../language/sql/sql-parser.ts'
import { readCase } from '../../simulation/case.ts'
import { compare } from '../../simulation/compare.ts'
import type { Difference } from '../../simulation/compare.ts'
import { simulation } from '../../simulation/simulate.ts'
import type { SimulationLimits } from '../../simulation/simulate.ts'
import type { Simulation } from '../../simulation/simulation.ts'
import type { Call } from '../call.ts'
import { mayCreateFlows, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface SimulatedFlow extends Simulation {
  /** from what the case expects */
  differences: Difference[]
}

/** About a second of this process at the most, in pieces between which others are served. */
const LIMITS: SimulationLimits = { transitions: 5_000, events: 20_000, work: 5_000_000 }

/** Problem: VALIDATION, of the definition or the case. Throws FORBIDDEN. */
export async function simulateFlow(
  call: Call,
  { definition, given }: { definition: unknown; given: unknown },
): Promise<{ simulation: SimulatedFlow } | Problem> {
  if (!mayCreateFlows(requirePrincipal(call))) return forbid(call, { type: 'flow.simulationRefused' })
  await loadSqlParserFor([definition, given])
  const made = compile(definition, call.services.allow)
  if ('issues' in made) return problem('VALIDATION', { path: ['definition'], issues: made.issues })
  const read = readCase(given, made.program, (called) => compile(called, call.services.allow))
  if (!('case' in read)) return problem('VALIDATION', { path: ['case'], issues: read.issues })
  const steps = simulation(made.program, read.case, LIMITS)
  for (;;) {
    const { done, value } = steps.next()
    if (done) return { simulation: { ...value, differences: compare(read.case.expect, value) } }
    await otherWork()
    call.signal.throwIfAborted()
  }
}
