/** The definition of a flow, version 1, around its steps: its type, and the strict schema that tells whether a value is one. */
import { z } from 'zod'
import { characters, description, MAX_STEPS, name, retry, template } from './any-step.ts'
import type { JsonObject } from './values.ts'
import { ROLES, type Role } from './roles.ts'
import { STEP_SCHEMAS, type StepDefinition } from './steps/step-types.ts'

/** What grants give, this takes away (C2): whoever is not named may not start it, or not answer what it asks. Absent = everybody. */
export interface FlowPermissions {
  /** roles of people who may start it */
  readonly roles?: readonly Role[]
  /** roles of agents who may start it, and answer what it asks them */
  readonly agents?: readonly string[]
}

/** Which fields of a step hold templates is told by its type's file in `steps/`. */
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

// Control characters, line separators, and the marks that reorder text on a screen.
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

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
  ...STEP_SCHEMAS.flatMap((schema) => Object.keys(schema.shape)),
  ...Object.keys(retry.shape),
  ...Object.keys(permissions.shape),
  'to',
  'any',
  'atLeast',
  'of',
]
