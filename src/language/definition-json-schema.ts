/** The language as a JSON Schema (2020-12), made from the schemas that check it: editors complete and explain definitions with it. */
import { z } from 'zod'
import { MAX_STEPS, NAME } from './any-step.ts'
import { DEFINITION_SCHEMA } from './definition.ts'
import { STEP_SCHEMAS, STEP_TYPES } from './steps/step-types.ts'
import { TRIGGER_SCHEMAS } from './triggers/trigger-types.ts'
import type { JsonObject } from './values.ts'

/**
 * What it accepts may still be refused: names that lead nowhere, expressions, durations, SQL are judged by `validateFlow`.
 * Whatever is valid fits it.
 */
export function definitionJsonSchema(): JsonObject {
  const { $schema, ...definition } = toJsonSchema(DEFINITION_SCHEMA)
  const properties = definition['properties'] as JsonObject
  const steps = properties['steps'] as JsonObject
  const triggers = properties['triggers'] as JsonObject
  const types = STEP_SCHEMAS.map((schema, i): [string, JsonObject] => [STEP_TYPES[i]!, inner(schema)])
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
      triggers: { ...triggers, items: { oneOf: TRIGGER_SCHEMAS.map(inner) } },
    },
    $defs: { step: { oneOf: types.map(([type]) => ({ $ref: `#/$defs/${type}` })) }, ...Object.fromEntries(types) },
  }
}

const toJsonSchema = (schema: z.ZodType): JsonObject => z.toJSONSchema(schema, { io: 'input' }) as JsonObject
/** Without what only the outermost says. */
function inner(schema: z.ZodType): JsonObject {
  const { $schema: _, ...rest } = toJsonSchema(schema)
  return rest
}
