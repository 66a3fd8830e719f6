/** What outputs of steps look like, as JSON Schemas: for the linter, which follows what is read from step to step. */
import type { Json, JsonObject } from './values.ts'

/** What a template makes, as far as its text says. */
export function schemaOfTemplate(value: Json): JsonObject {
  if (typeof value === 'string') return value.trim().startsWith('${{') ? {} : { type: 'string' }
  if (typeof value === 'boolean') return { type: 'boolean' }
  if (typeof value === 'number') return { type: 'number' }
  if (value === null) return {}
  if (Array.isArray(value)) return { type: 'array' }
  const properties = Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, schemaOfTemplate(inner)]))
  return objectOf(properties)
}

/** An object with these fields and no others. */
export const objectOf = (properties: JsonObject): JsonObject => ({ type: 'object', properties, additionalProperties: false })
