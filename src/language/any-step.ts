/** What every step of a definition may have: its types, its strict schema, and the pieces that the schemas of steps are made of. */
import { z } from 'zod'
import type { Json, JsonObject } from './values.ts'

/** Every name of steps and routes (C3). */
export const NAME = /^[A-Za-z0-9_]{1,64}$/
export const MAX_STEPS = 500
/** Tokens. */
export const MAX_COST = 10_000_000

/** Run after all of them; after any one; after at least n of them. */
export type After =
  | readonly string[]
  | { readonly any: readonly string[] }
  | { readonly atLeast: number; readonly of: readonly string[] }

/** Durations are ISO 8601 (`PT0.5S`); attempts count the first one too; `on` and `notOn` name step errors or classes of them. */
export interface Retry {
  readonly attempts?: number
  readonly delay?: string
  readonly factor?: number
  readonly maxDelay?: string
  readonly jitter?: number
  readonly on?: readonly string[]
  readonly notOn?: readonly string[]
  /** no attempt begins later than this after the first one began */
  readonly within?: string
}

/** What becomes of the execution when the step has failed for good: it fails too; it goes on; it goes on with this step. */
export type OnError = 'fail' | 'continue' | { readonly goto: string }

/** What every step may have. `on` is "router:route", `when` a CEL condition without `${{ }}`, `timeout` an ISO 8601 duration. */
export interface AnyStep {
  readonly description?: string
  readonly after?: After
  readonly on?: string
  readonly when?: string
  readonly timeout?: string
  /** the kind of worker that runs it, when it is another than its flow's */
  readonly pool?: string
  /** tokens that one attempt takes at most */
  readonly cost?: number
  readonly retry?: Retry
  /** JSON Schema of its output, which is checked; `"sensitive": true` masks a field */
  readonly returns?: JsonObject
  readonly onError?: OnError
  /** the step that undoes this one, when it had succeeded and its execution ends badly */
  readonly compensate?: JsonObject
}

export const json = z.unknown().transform((value) => value as Json)
export const template = z.record(z.string(), json)
/** A step inside of another; editors are told where its schema is. */
export const innerStep = z.record(z.string(), json).meta({ $ref: '#/$defs/step' })
export const text = z.string().max(10_000)
export const name = z.string().max(200)
export const description = z.string().refine((value) => characters(value) <= 500, 'at most 500 characters')
const names = z.array(name).min(1).max(MAX_STEPS)

export function characters(value: string): number {
  return [...value].length
}

export const retry = z.strictObject({
  attempts: z.int().min(1).max(100).optional().describe('Attempts in all, the first one too.'),
  delay: name.optional().describe('Before the second attempt: an ISO 8601 duration such as PT0.5S.'),
  factor: z.number().min(1).max(10).optional().describe('How the delay grows from attempt to attempt.'),
  maxDelay: name.optional().describe('The delay grows no longer than this: an ISO 8601 duration.'),
  jitter: z.number().min(0).max(1).optional().describe('The share of the delay that is random.'),
  on: z
    .array(name)
    .min(1)
    .max(50)
    .optional()
    .describe('The step errors that are retried, such as TIMEOUT; else all that a retry can help.'),
  notOn: z.array(name).min(1).max(50).optional().describe('Of those, the step errors that are not retried.'),
  within: name.optional().describe('No attempt begins later than this after the first one began: an ISO 8601 duration.'),
})

/** The fields of every step: spread into the schema of each type. */
export const commonFields = {
  description: description.optional().describe('What the step is for, at most 500 characters.'),
  after: z
    .union(
      [z.array(name).max(MAX_STEPS), z.strictObject({ any: names }), z.strictObject({ atLeast: z.int().min(1), of: names })],
      {
        error: 'must be a list of steps, {"any": [...]} or {"atLeast": 2, "of": [...]}',
      },
    )
    .optional()
    .describe('The steps that this one waits for: all of them, {"any": [...]} of them, or {"atLeast": 2, "of": [...]}.'),
  on: name.optional().describe('Runs when a router took this route: "router:route".'),
  when: text.optional().describe('A CEL condition (without ${{ }}); when it is false, the step is skipped.'),
  timeout: name.optional().describe('How long one attempt may take: an ISO 8601 duration such as PT30S.'),
  pool: name
    .optional()
    .describe(
      'The pool whose workers run it: of steps that act on the outside (handler, http, query); that of its flow unless given.',
    ),
  cost: z
    .int()
    .min(0)
    .max(MAX_COST)
    .optional()
    .describe('Tokens that one attempt takes at most: what the flow may cost is told from it.'),
  returns: template
    .optional()
    .describe('JSON Schema (2020-12) of its output, which is checked; "sensitive": true masks a field.'),
  retry: retry.optional().describe('When and how often a failed attempt is repeated.'),
  onError: z
    .union([z.literal(['fail', 'continue']), z.strictObject({ goto: name })], {
      error: 'must be "fail", "continue" or {"goto": "step"}',
    })
    .optional()
    .describe(
      'When it has failed for good: the execution fails ("fail"), goes on ("continue"), or goes on with {"goto": "step"}.',
    ),
  compensate: innerStep.optional().describe('The step that undoes this one when it had succeeded and its execution ends badly.'),
}

/** Unlike the step schemas it lets other fields pass: for reading what can be read of a step of unknown type. */
export const COMMON_FIELDS = z.object(commonFields)
