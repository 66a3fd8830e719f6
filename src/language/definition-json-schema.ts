/** The language as a JSON Schema (2020-12), made from the schemas that check it: editors complete and explain definitions with it. */
import { z } from 'zod'
import { MAX_STEPS, NAME } from './any-step.ts'
import { DEFINITION_SCHEMA } from './definition.ts'
import { STEP_SCHEMAS, STEP_TYPES } from './steps/step-types.ts'
import type { JsonObject } from './values.ts'

/**
 * What it accepts may still be refused: names that lead nowhere, expressions, durations, SQL are judged by `validateFlow`.
 * Whatever is valid fits it.
 */
export function definitionJsonSchema(): JsonObject {
  const { $schema, ...definition } = toJsonSchema(DEFINITION_SCHEMA)
  const properties = definition['properties'] as JsonObject
  const steps = properties['steps'] as JsonObject
  const types = STEP_SCHEMAS.map((schema, i): [string, JsonObject] => {
    const { $schema: _, ...step } = toJsonSchema(schema)
    return [STEP_TYPES[i]!, step]
  })
  return {
    $schema: $schema!,
    title: 'A flow of Sluice',
    ...definition,
    properties: {
      ...properties,
      steps: {
        ...steps,
        minProperties: 1,
        maxProperties: MAX_STEPS,
        propertyNames: { pattern: NAME.source },
        additionalProperties: { $ref: '#/$defs/step' },
      },
    },
    $defs: { step: { oneOf: types.map(([type]) => ({ $ref: `#/$defs/${type}` })) }, ...Object.fromEntries(types) },
  }
}

const toJsonSchema = (schema: z.ZodType): JsonObject => z.toJSONSchema(schema, { io: 'input' }) as JsonObject
