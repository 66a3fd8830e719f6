/** `map` in a definition: a step, or a flow, for each item of a list. */
import { z } from 'zod'
import { commonFields, innerStep, json, text, type AnyStep } from '../any-step.ts'
import { objectOf } from '../template-schema.ts'
import type { Json, JsonObject, Template } from '../values.ts'
import type { StepBody, StepCompiler, StepLanguage } from './step-language.ts'

/** Items of one map. */
export const MAX_ITEMS = 10_000
const MAX_PARALLEL = 100
const DEFAULT_PARALLEL = 10

export interface MapStep extends AnyStep {
  readonly type: 'map'
  /** a template of a list */
  readonly over: string | readonly Json[]
  readonly step: JsonObject
  /** items under way at once */
  readonly parallel?: number
  /** how many items may fail: a number, or a share of them such as "10%" */
  readonly tolerate?: number | string
}
export interface MapSpec {
  type: 'map'
  over: Template
  step: StepBody
  parallel: number
  tolerate: { count: number } | { share: number }
}

export const map: StepLanguage<MapStep, MapSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('map').describe('Runs a step for each item of a list.'),
    over: z.union([text, z.array(json).max(MAX_ITEMS)]).describe('The list: ${{ }} that gives one, or one of templates.'),
    step: innerStep.describe('What runs for each item; its templates see item and index.'),
    parallel: z.int().min(1).max(MAX_PARALLEL).optional().describe('How many run at once; 10 unless given.'),
    tolerate: z
      .union([z.int().min(0).max(MAX_ITEMS), z.string().regex(/^(100|[1-9]?\d)%$/)], {
        error: 'must be a number of items, or a share of them such as "10%"',
      })
      .optional()
      .describe('How many items may fail: a number, or a share such as "10%"; none unless given.'),
  }),
  returns: (step, inner) =>
    objectOf({ items: { type: 'array', items: inner(step.step) ?? {} }, failed: { type: 'array' }, counts: { type: 'object' } }),
  compile(step, compiler) {
    refuseRetry(step, compiler)
    return {
      type: 'map',
      over: compiler.template(step.over as Json, 'over'),
      step: compiler.seeing(['item', 'index']).step(step.step, 'step') ?? NOTHING,
      parallel: step.parallel ?? DEFAULT_PARALLEL,
      tolerate: readTolerance(step.tolerate),
    }
  },
}

/** Stands in for a step that could not be compiled; a definition with issues never runs. */
export const NOTHING: StepBody = { retry: { attempts: 1, firstDelayMs: 0, factor: 1, maxDelayMs: 0, jitter: 0 }, spec: {} }

function readTolerance(tolerate: number | string = 0): MapSpec['tolerate'] {
  return typeof tolerate === 'number' ? { count: tolerate } : { share: Number(tolerate.slice(0, -1)) / 100 }
}

/** What ran inside is recorded once: it cannot run again as a whole. */
export function refuseRetry(step: AnyStep, { issues, path }: StepCompiler): void {
  if (step.retry === undefined) return
  issues.add('INVALID_VALUE', [...path, 'retry'], 'it is the step inside that is tried again', 'move retry into `step`')
}
