/** What each type of step says for itself: its fields, how it is compiled, its times. One file a type stands beside this one. */
import type { z } from 'zod'
import type { AnyStep } from '../any-step.ts'
import type { AllowList, Condition, Json, JsonObject, RetryPolicy, Template } from '../values.ts'
import type { Locals } from '../cel.ts'
import type { InputSchema } from '../input-schema.ts'
import type { TemplateContext } from '../template.ts'

export interface StepLanguage<Step extends AnyStep, Spec extends { type: string }> {
  /** strict: the common fields and its own */
  readonly schema: z.ZodObject
  /** problems go to the compiler's issues; a spec made with issues never runs */
  compile(step: Step, compiler: StepCompiler): Spec
  /** it takes no time: a timeout or a retry would never be used */
  readonly instant?: boolean
  /** ms; absent: it has a timeout only when the definition says so */
  readonly timeout?: { readonly otherwiseMs: number; readonly mostMs?: number }
  /** when the definition says nothing of retries; absent: one attempt */
  readonly retry?: RetryPolicy
  /** what it is given: where sensitive values may be in it is derived from this */
  given?(spec: Spec): Template
  /** it may undo another step: it acts on the outside, and needs nothing but itself */
  readonly compensates?: boolean
  /** it acts on the outside, wherever that is: it may name a pool */
  readonly mayRunElsewhere?: boolean
  /** JSON Schema of its output, for the linter; `inner` tells that of a step inside it. Absent: not known. */
  returns?(step: Step, inner: (step: Json) => JsonObject | undefined): JsonObject | undefined
  /** the roles it names, for the linter */
  roles?(step: Step): readonly string[]
}

export interface StepContext extends TemplateContext {
  allow: AllowList
  /** whose workers run the executions of the flow */
  pool: string
  /** where steps that wait for signals write their names */
  signals: Set<string>
}

/** What a step type compiles with. `field` leads from the step to the value. */
export interface StepCompiler extends StepContext {
  /** of the step in the definition */
  readonly path: readonly string[]
  template(value: Json, ...field: readonly string[]): Template
  /** a template whose result is always a text */
  text(value: string, ...field: readonly string[]): Template
  /** the same of a URL, which values that are put into it cannot lead elsewhere */
  url(value: string, ...field: readonly string[]): Template
  condition(source: string, ...field: readonly string[]): Condition
  /** the same, whose expressions also see these */
  seeing(locals: Locals): StepCompiler
  /** ms; at least `minMs` (0) */
  durationMs(text: string, field: string, minMs?: number): number
  /** whether it may name a step, a route or a secret */
  checkName(name: string, ...field: readonly string[]): boolean
  checkRole(role: string, ...field: readonly string[]): void
  checkRoles(roles: readonly string[], ...field: readonly string[]): void
  /** a step inside this one; undefined, with issues, when it is none. It has no place in the order: no `after`, no `on`. */
  step(value: Json, ...field: readonly string[]): StepBody | undefined
}

/** A step without its place in the flow. */
export interface StepBody<Spec = unknown> {
  /** undefined: only the flow's timeout bounds it */
  timeoutMs?: number
  retry: RetryPolicy
  /** tokens that one attempt takes at most; undefined: it says nothing */
  cost?: number
  spec: Spec
  /** false: it is skipped */
  when?: Condition
  /** whose workers run it; undefined: those that run its flow */
  pool?: string
  /** its failure does not end what is around it; `goto`: the step that runs then, which is one of the flow */
  onError?: 'continue' | { goto: string }
  /** what its output must fit */
  returns?: InputSchema
}
