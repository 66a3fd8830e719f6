/** A compiled definition: what the engine runs. Made by `compile()`, never changed afterwards. */
import type { Issue } from '../errors.ts'
import type { FlowPermissions } from './definition.ts'
import type { Places } from '../masking/places.ts'

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** What expressions can see. `steps` has every step of the flow; `output` only once it succeeded. */
export interface Scope {
  input: JsonObject
  steps: Record<string, { status: string; output?: Json; route?: string }>
  execution: { id: string; startedAt: string }
}

export type Evaluated<T> = { ok: true; value: T } | { ok: false; message: string }
/** A JSON value whose strings may hold `${{ }}`; evaluating it is bounded and cannot have effects. */
export interface Template {
  evaluate(scope: Scope): Evaluated<Json>
  /** what its expressions read; nothing: it is a constant */
  readonly reads?: readonly TemplateRead[]
}
/** One place that an expression of a template reads. */
export interface TemplateRead {
  /** of the expression in the template's value, key by key */
  readonly at: readonly string[]
  /** in the scope: `['input', 'a']`; `'*'` is a key that is computed */
  readonly place: readonly string[]
  /** what is at the place goes there as it is */
  readonly copies: boolean
}
/** A CEL condition; anything but a boolean is a failure. */
export interface Condition {
  evaluate(scope: Scope): Evaluated<boolean>
}

/** When a step may run. Every `route` must be taken AND `of` must satisfy `mode`. A start step has neither. */
export interface Needs {
  mode: 'all' | 'any' | 'atLeast'
  /** how many of `of` must succeed: its length for all, 1 for any */
  count: number
  of: readonly string[]
  routes: readonly { router: string; route: string }[]
}

export interface RetryPolicy {
  /** attempts in all, 1 = no retry */
  attempts: number
  firstDelayMs: number
  factor: number
  maxDelayMs: number
  /** 0..1: the share of the delay that is random */
  jitter: number
  /** step error codes that are retried; undefined = all that another attempt can help */
  on?: readonly string[]
}

export type StepSpec =
  | { type: 'transform'; set: Template }
  | { type: 'route'; cases: readonly { when: Condition; to: string }[]; otherwise?: string }
  | { type: 'agent'; role: string; subject: Template; request: Template }
  | { type: 'notify'; roles: readonly string[]; subject: Template; message: Template }
  | { type: 'wait'; durationMs?: number; until?: Template }
  | { type: 'handler'; handler: string; with: Template; secrets: readonly string[]; atMostOnce: boolean }
  | { type: 'fail'; code: string; message: Template }
export type StepType = StepSpec['type']

export interface ProgramStep {
  name: string
  needs: Needs
  when?: Condition
  /** undefined for steps that take no time */
  timeoutMs?: number
  retry: RetryPolicy
  spec: StepSpec
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
  permissions?: FlowPermissions
  /** the places in this input that its JSON Schema marks as sensitive; undefined when it marks none anywhere */
  sensitive?: (input: JsonObject) => Places
  /** [] when the input fits the flow's JSON Schema; each issue's path starts with "input" */
  checkInput(input: JsonObject): Issue[]
}

/** What a definition may name; checked at creation, at start and at every load (A1). */
export interface AllowList {
  roles: ReadonlySet<string>
  handlers: ReadonlySet<string>
}
