/** How acts run: each type of act has a runner in this process, which always comes back with an outcome. */
import type { StepErrorCode } from '../../errors.ts'
import type { ActSpec } from '../../language/steps/step-types.ts'
import type { Json } from '../../language/values.ts'
import type { FailureHints } from '../decide/input.ts'
import type { ResourceUse } from '../handlers/resource-limits.ts'
import type { Report } from './reports.ts'
import type { SecretValues } from './attempt-mask.ts'

/** `message`: storable, for whoever may see the execution; without secrets. */
export interface ActFailure extends FailureHints {
  ok: false
  code: StepErrorCode
  message: string
}

/** `text`: compact JSON of the output; `bytes`: its length in UTF-8. */
export type ActOutcome = { ok: true; text: string; bytes: number } | ActFailure

export interface ActCall<Spec extends ActSpec = ActSpec> {
  readonly spec: Spec
  /** what the step is given, evaluated */
  readonly input: Json
  /** as it is shown: `exec_...` */
  readonly executionId: string
  readonly path: string
  readonly attempt: number
  /** of a `flow` step: the id that its child has or will have */
  readonly childId?: string
  readonly deadlineMs: number
  /** it was in flight at a crash of its worker, or runs beside one that is */
  readonly isolated: boolean
  /** those that the step names */
  readonly secrets?: SecretValues
  /** takes out of a line for the log what may not stand there */
  readonly hide?: (text: string) => string
  /** told what it took of the machine, where that is measured: once, when it has ended */
  readonly used?: (use: ResourceUse) => void
  /** hears what it says while it runs; `last` comes before its outcome */
  readonly report?: (report: Report, last: boolean) => void
}

export interface RunningAct {
  /** Never rejects. */
  readonly outcome: Promise<ActOutcome>
  /** The outcome will be CANCELED with this reason, unless it is settled. */
  abort(reason: string): void
}

export interface ActRunner<Spec extends ActSpec = ActSpec> {
  /** Would this one begin at once? What waits for room has not begun: its time does not run. */
  hasRoom(spec: Spec, isolated: boolean): boolean
  /** called when there may be room again */
  onRoom?: () => void
  /** Never throws. */
  run(call: ActCall<Spec>): RunningAct
}

export type ActRunners = { readonly [Type in ActSpec['type']]?: ActRunner<Extract<ActSpec, { type: Type }>> }
