/** What compiled definitions are made of: JSON, what expressions see, templates and conditions, policies. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** What expressions can see. `steps` has every step of the flow; `output` only once it succeeded. */
export interface Scope {
  input: JsonObject
  steps: Record<string, { status: string; output?: Json; route?: string; error?: StepFailure }>
  /** `error`: why the execution ends, while it undoes what it did */
  execution: { id: string; startedAt: string; error?: StepFailure }
  /** in the `where` of a `signal` step */
  signal?: { name: string; data: Json; sentBy: string }
  /** in the input of a schedule: `time` is the scheduled one */
  schedule?: { name: string; time: string }
  /** inside a `map`: the item, and its place from 0 */
  item?: Json
  index?: bigint
  /** inside a `loop`: which time it is, from 1, and the output of the time before; null the first time */
  iteration?: bigint
  last?: Json
  /** in the `input` of a pattern: the text that matched, and the named groups of the match */
  text?: string
  match?: JsonObject
  /** in the `input` of a webhook: what came, and when */
  body?: Json
  delivery?: { id: string; receivedAt: string }
}

/** Why a step failed, or its execution. */
export interface StepFailure {
  code: string
  message: string
  step?: string
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
  /** of these, the codes that are not */
  notOn?: readonly string[]
  /** no attempt begins later than this after the first one began */
  withinMs?: number
}

/** What a definition may name; checked at creation, at start and at every load (A1). */
export interface AllowList {
  roles: ReadonlySet<string>
  handlers: ReadonlySet<string>
  /** what queries may read; none by default */
  sources?: ReadonlySet<string>
  /** of workers, besides the default one; undefined: not judged here, since what nobody serves waits and does no harm */
  pools?: ReadonlySet<string> | undefined
}
