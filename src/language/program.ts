/** A compiled definition: what the engine runs. Made by `compile()`, never changed afterwards. */
import type { Issue } from '../errors.ts'
import type { Places } from '../masking/places.ts'
import type { ConcurrencyRule } from './around/concurrency.ts'
import type { OnFailure } from './around/on-failure.ts'
import type { StartRate } from './around/rate.ts'
import type { FlowPermissions } from './definition.ts'
import type { StepBody } from './steps/step-language.ts'
import type { StepSpec } from './steps/step-types.ts'
import type { JsonObject, Template } from './values.ts'

/** When a step may run. Every `route` must be taken AND `of` must satisfy `mode`. A start step has neither. */
export interface Needs {
  mode: 'all' | 'any' | 'atLeast'
  /** how many of `of` must succeed: its length for all, 1 for any */
  count: number
  of: readonly string[]
  routes: readonly { router: string; route: string }[]
  /** steps whose `onError` goes here: one of them must have failed */
  failures?: readonly string[]
}

export interface ProgramStep extends StepBody<StepSpec> {
  name: string
  needs: Needs
  /** what undoes it; it has no needs of its own */
  compensate?: ProgramStep
}

export interface Program {
  name: string
  /** in topological order */
  steps: readonly ProgramStep[]
  step(name: string): ProgramStep | undefined
  /** the steps whose `needs` name this one */
  dependents(name: string): readonly string[]
  output?: Template
  timeoutMs: number
  /** the steps that say how to undo them, and how long undoing all of them may take; undefined: none does */
  compensation?: { steps: readonly ProgramStep[]; timeoutMs: number }
  permissions?: FlowPermissions
  concurrency?: ConcurrencyRule
  rates?: readonly StartRate[]
  /** of its executions, unless whoever starts one says another; 0 */
  priority?: number
  /** whose workers run its executions; undefined: the default one */
  pool?: string
  /** some of its steps name a pool of their own */
  usesPools?: true
  /** what is started when an execution has failed or did not end in time */
  onFailure?: OnFailure
  /** how long an output is given again for the same input to the same person; undefined: never */
  cacheTtlMs?: number
  /** names of the signals that its steps wait for */
  signals?: ReadonlySet<string>
  /** the places in this input that its JSON Schema marks as sensitive; undefined when it marks none anywhere */
  sensitive?: (input: JsonObject) => Places
  /** [] when the input fits the flow's JSON Schema; each issue's path starts with "input" */
  checkInput(input: JsonObject): Issue[]
}
