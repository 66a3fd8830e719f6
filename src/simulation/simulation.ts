/** What came of a simulation. */
import type { AskRow, EventRow, StepRunRow } from '../engine/decide/draft.ts'
import type { ExecutionError } from '../engine/entities/execution.ts'
import type { ExecutionStatus } from '../engine/states.ts'
import type { Json } from '../language/values.ts'

/** Why a simulation could not go on. */
export interface SimulationProblem {
  code: 'MISSING_RESULT' | 'WRONG_RESULT' | 'LIMIT'
  message: string
  /** of the step run it is about */
  path?: string
}

/** Times are ms since 1970, on the virtual clock. */
export interface Simulation {
  status: ExecutionStatus
  /** null: none, or it has not succeeded */
  output: Json
  error: ExecutionError | null
  reason: string | null
  startedAt: number
  /** of the last event */
  endedAt: number
  events: EventRow[]
  /** those that ended, in the order of their ends */
  steps: StepRunRow[]
  /** questions and notices, in the order in which they were asked */
  asked: AskRow[]
  /** the simulation could not go on; `status` is as far as it came */
  problem?: SimulationProblem
  /** tokens: what the definition says that an attempt costs, for each that began */
  cost: number
  /** keys of results that nothing asked for */
  unused: string[]
}
