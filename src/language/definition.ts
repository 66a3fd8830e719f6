/** The definition of a flow, version 1, around its steps: its type, and the strict schema that tells whether a value is one. */
import { z } from 'zod'
import { characters, description, MAX_STEPS, name, retry, template } from './any-step.ts'
import { cache, type Cache } from './around/cache.ts'
import { concurrency, type Concurrency } from './around/concurrency.ts'
import { onFailure, type OnFailure } from './around/on-failure.ts'
import { pool } from './around/pool.ts'
import { priority } from './around/priority.ts'
import { rate, type Rate } from './around/rate.ts'
import { retention, type Retention } from './around/retention.ts'
import type { JsonObject } from './values.ts'
import { ROLES, type Role } from './roles.ts'
import { STEP_SCHEMAS, type StepDefinition } from './steps/step-types.ts'
import { TRIGGER_SCHEMAS, type TriggerDefinition } from './triggers/trigger-types.ts'

/** What grants give, this takes away (C2): whoever is not named may not start it, or not answer what it asks. Absent = everybody. */
export interface FlowPermissions {
  /** roles of people who may start it */
  readonly roles?: readonly Role[]
  /** roles of agents who may start it, and answer what it asks them */
  readonly agents?: readonly string[]
}

/** Which fields of a step hold templates is told by its type's file in `steps/`. */
export interface Definition {
  /** where editors find the schema; nobody reads it */
  readonly $schema?: string
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
  /** how long undoing may take in all, when the execution ends badly */
  readonly compensationTimeout?: string
  readonly permissions?: FlowPermissions
  readonly concurrency?: Concurrency
  readonly rate?: Rate
  /** -100..100 */
  readonly priority?: number
  /** the kind of worker that runs its executions */
  readonly pool?: string
  readonly onFailure?: OnFailure
  readonly retention?: Retention
  readonly cache?: Cache
  /** what starts it besides calls */
  readonly triggers?: readonly TriggerDefinition[]
  readonly metadata?: JsonObject
}

const MAX_TRIGGERS = 50

// Control characters, line separators, and the marks that reorder text on a screen.
const UNPRINTABLE = /[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u

const permissions = z.strictObject({
  roles: z.array(z.enum(ROLES)).max(ROLES.length).optional().describe('Roles of people who may start it.'),
  agents: z.array(name).max(50).optional().describe('Roles of agents who may start it, and answer what it asks them.'),
})

/** The definition around its steps. */
export const DEFINITION_SCHEMA = z.strictObject({
  $schema: name.optional().describe('Where editors find this schema.'),
  version: z.literal(1).optional().describe('The version of the language.'),
  name: z
    .string()
    .trim()
    .refine((value) => value !== '', 'must not be blank')
    .refine((value) => characters(value) <= 100, 'at most 100 characters')
    .refine((value) => !value.includes('/'), 'must not contain "/"')
    .refine((value) => !UNPRINTABLE.test(value), 'must not contain control characters')
    .describe("1 to 100 characters, unique among its owner's flows."),
  description: description.optional().describe('What the flow is for, at most 500 characters.'),
  participants: z.array(name).max(50).optional().describe('The roles that take part; a step that asks another gets a warning.'),
  input: template.optional().describe('JSON Schema (2020-12) of the input; "sensitive": true masks a field.'),
  steps: z
    .record(z.string(), z.unknown())
    .refine((steps) => Object.keys(steps).length >= 1, 'must have at least one step')
    .refine((steps) => Object.keys(steps).length <= MAX_STEPS, `at most ${MAX_STEPS} steps`)
    .describe('The steps by name: 1 to 64 letters, digits or _.'),
  output: template.optional().describe("Template of the execution's output, made when the last step has ended."),
  timeout: name.optional().describe('Of the whole execution: an ISO 8601 duration; P30D unless given.'),
  compensationTimeout: name
    .optional()
    .describe('Of undoing, when the execution ends badly: an ISO 8601 duration; PT1H unless given.'),
  permissions: permissions.optional().describe('Who may start it, of those whom grants let; it only takes away.'),
  concurrency: concurrency.optional().describe('How many of its executions may run at once, and what becomes of one more.'),
  rate: rate.optional().describe('How often it may be started.'),
  priority: priority.optional(),
  pool: pool.optional(),
  onFailure: onFailure.optional().describe('The flow that is started when an execution has failed, or did not end in time.'),
  retention: retention.optional().describe('How long what its executions were given and made is kept.'),
  cache: cache.optional().describe('How long an output is given again for the same input to the same person.'),
  triggers: z
    .array(z.unknown())
    .max(MAX_TRIGGERS)
    .optional()
    .describe('What starts it besides calls: patterns, schedules, webhooks.'),
  metadata: template.optional().describe('An object for your own use.'),
})

/** Every field that a definition can have somewhere, for hints. */
export const FIELD_NAMES: readonly string[] = [
  ...Object.keys(DEFINITION_SCHEMA.shape),
  ...STEP_SCHEMAS.flatMap((schema) => Object.keys(schema.shape)),
  ...TRIGGER_SCHEMAS.flatMap((schema) => Object.keys(schema.shape)),
  ...Object.keys(retry.shape),
  ...Object.keys(permissions.shape),
  ...Object.keys(concurrency.shape),
  ...Object.keys(cache.shape),
  'per',
  'each',
  'to',
  'any',
  'atLeast',
  'of',
  'goto',
]
