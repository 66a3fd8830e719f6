/** The definition of a flow, version 1: its types, and the strict schema that tells whether a value is one. */
import { z } from 'zod'
import type { JsonObject, Json, StepType } from './program.ts'
import { ROLES, type Role } from './roles.ts'

/** Every name of steps and routes (C3). */
export const NAME = /^[A-Za-z0-9_]{1,64}$/
const MAX_STEPS = 500
/** of one step */
const MAX_SECRETS = 10

/** Run after all of them; after any one; after at least n of them. */
export type After =
  | readonly string[]
  | { readonly any: readonly string[] }
  | { readonly atLeast: number; readonly of: readonly string[] }

/** Durations are ISO 8601 (`PT0.5S`); attempts count the first one too. */
export interface Retry {
  readonly attempts?: number
  readonly delay?: string
  readonly factor?: number
  readonly maxDelay?: string
  readonly jitter?: number
  readonly on?: readonly string[]
}

/** What every step may have. `on` is "router:route", `when` a CEL condition without `${{ }}`, `timeout` an ISO 8601 duration. */
export interface AnyStep {
  readonly description?: string
  readonly after?: After
  readonly on?: string
  readonly when?: string
  readonly timeout?: string
  readonly retry?: Retry
}

export interface TransformStep extends AnyStep {
  readonly type: 'transform'
  readonly set: JsonObject
}
export interface RouteStep extends AnyStep {
  readonly type: 'route'
  readonly cases: readonly { readonly when: string; readonly to: string }[]
  readonly otherwise?: string
}
export interface AgentStep extends AnyStep {
  readonly type: 'agent'
  readonly role: string
  readonly subject: string
  readonly request: Json
}
export interface NotifyStep extends AnyStep {
  readonly type: 'notify'
  readonly roles: readonly string[]
  readonly subject?: string
  readonly message: Json
}
export interface WaitStep extends AnyStep {
  readonly type: 'wait'
  readonly duration?: string
  readonly until?: string
}
export interface HandlerStep extends AnyStep {
  readonly type: 'handler'
  readonly handler: string
  readonly with?: JsonObject
  /** names of secrets of the flow's owner, given to the handler alone */
  readonly secrets?: readonly string[]
  readonly atMostOnce?: boolean
}
export interface FailStep extends AnyStep {
  readonly type: 'fail'
  readonly message: string
  readonly code?: string
}
export type StepDefinition = TransformStep | RouteStep | AgentStep | NotifyStep | WaitStep | HandlerStep | FailStep

/** What grants give, this takes away (C2): whoever is not named may not start it, or not answer what it asks. Absent = everybody. */
export interface FlowPermissions {
  /** roles of people who may start it */
  readonly roles?: readonly Role[]
  /** roles of agents who may start it, and answer what it asks them */
  readonly agents?: readonly string[]
}

/** Which fields of a step hold templates is told by `compile-step.ts`. */
export interface Definition {
  readonly version?: 1
  readonly name: string
  readonly description?: string
  readonly participants?: readonly string[]
  /** JSON Schema 2020-12 of the input */
  readonly input?: JsonObject
  readonly steps: { readonly [name: string]: StepDefinition }
  /** template of the execution's output */
  readonly output?: JsonObject
  readonly timeout?: string
  readonly permissions?: FlowPermissions
  readonly metadata?: JsonObject
}

const characters = (text: string): number => [...text].length
// Control characters, line separators, and the marks that reorder text on a screen.
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

const json = z.unknown().transform((value) => value as Json)
const template = z.record(z.string(), json)
const text = z.string().max(10_000)
const name = z.string().max(200)
const description = z.string().refine((value) => characters(value) <= 500, 'at most 500 characters')
const names = z.array(name).min(1).max(MAX_STEPS)

const retry = z.strictObject({
  attempts: z.int().min(1).max(100).optional(),
  delay: name.optional(),
  factor: z.number().min(1).max(10).optional(),
  maxDelay: name.optional(),
  jitter: z.number().min(0).max(1).optional(),
  on: z.array(name).min(1).max(50).optional(),
})

const commonFields = {
  description: description.optional(),
  after: z
    .union(
      [z.array(name).max(MAX_STEPS), z.strictObject({ any: names }), z.strictObject({ atLeast: z.int().min(1), of: names })],
      {
        error: 'must be a list of steps, {"any": [...]} or {"atLeast": 2, "of": [...]}',
      },
    )
    .optional(),
  on: name.optional(),
  when: text.optional(),
  timeout: name.optional(),
  retry: retry.optional(),
}

/** Unlike the step schemas it lets other fields pass: for reading what can be read of a step of unknown type. */
export const COMMON_FIELDS = z.object(commonFields)

/** The schema of each step type. */
export const STEP_SCHEMAS = {
  transform: z.strictObject({ ...commonFields, type: z.literal('transform'), set: template }),
  route: z.strictObject({
    ...commonFields,
    type: z.literal('route'),
    cases: z
      .array(z.strictObject({ when: text, to: name }))
      .min(1)
      .max(100),
    otherwise: name.optional(),
  }),
  agent: z.strictObject({ ...commonFields, type: z.literal('agent'), role: name, subject: text, request: json }),
  notify: z.strictObject({
    ...commonFields,
    type: z.literal('notify'),
    roles: z.array(name).min(1).max(50),
    subject: text.optional(),
    message: json,
  }),
  wait: z.strictObject({ ...commonFields, type: z.literal('wait'), duration: name.optional(), until: text.optional() }),
  handler: z.strictObject({
    ...commonFields,
    type: z.literal('handler'),
    handler: name,
    with: template.optional(),
    secrets: z.array(name).min(1).max(MAX_SECRETS).optional(),
    atMostOnce: z.boolean().optional(),
  }),
  fail: z.strictObject({
    ...commonFields,
    type: z.literal('fail'),
    message: text,
    code: z
      .string()
      .regex(/^[A-Z][A-Z0-9_]{0,63}$/, 'must be capital letters, digits and _, at most 64')
      .optional(),
  }),
} as const satisfies Record<StepType, z.ZodType>

export const STEP_TYPES = Object.keys(STEP_SCHEMAS) as StepType[]

const permissions = z.strictObject({
  roles: z.array(z.enum(ROLES)).max(ROLES.length).optional(),
  agents: z.array(name).max(50).optional(),
})

/** The definition around its steps. */
export const DEFINITION_SCHEMA = z.strictObject({
  version: z.literal(1).optional(),
  name: z
    .string()
    .trim()
    .refine((value) => value !== '', 'must not be blank')
    .refine((value) => characters(value) <= 100, 'at most 100 characters')
    .refine((value) => !value.includes('/'), 'must not contain "/"')
    .refine((value) => !UNPRINTABLE.test(value), 'must not contain control characters'),
  description: description.optional(),
  participants: z.array(name).max(50).optional(),
  input: template.optional(),
  steps: z
    .record(z.string(), z.unknown())
    .refine((steps) => Object.keys(steps).length >= 1, 'must have at least one step')
    .refine((steps) => Object.keys(steps).length <= MAX_STEPS, `at most ${MAX_STEPS} steps`),
  output: template.optional(),
  timeout: name.optional(),
  permissions: permissions.optional(),
  metadata: template.optional(),
})

/** Every field that a definition can have somewhere, for hints. */
export const FIELD_NAMES: readonly string[] = [
  ...Object.keys(DEFINITION_SCHEMA.shape),
  ...Object.values(STEP_SCHEMAS).flatMap((schema) => Object.keys(schema.shape)),
  ...Object.keys(retry.shape),
  ...Object.keys(permissions.shape),
  'to',
  'any',
  'atLeast',
  'of',
]
