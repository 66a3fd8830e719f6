/** The keywords of JSON Schema 2020-12 that a flow may use, what their values are, and where schemas stand in schemas. */
import type { Json, JsonObject } from '../values.ts'

/** One schema, a list of schemas, schemas by name, or a plain value. */
type KeywordKind = 'schema' | 'list' | 'map' | 'value'

const COUNT: JsonObject = { type: 'integer', minimum: 0 }
const TEXT: JsonObject = { type: 'string' }
const FLAG: JsonObject = { type: 'boolean' }
const NUMBER: JsonObject = { type: 'number' }
const NAMES: JsonObject = { type: 'array', items: TEXT, uniqueItems: true }
const TYPE: JsonObject = { enum: ['array', 'boolean', 'integer', 'null', 'number', 'object', 'string'] }

/** What the meta-schema says of the values of keywords, as schemas; a mistake in one is told with its words. */
const VALUES: Record<string, JsonObject> = {
  type: { anyOf: [TYPE, { type: 'array', items: TYPE, minItems: 1, uniqueItems: true }] },
  enum: { type: 'array', minItems: 1 },
  const: {},
  multipleOf: { type: 'number', exclusiveMinimum: 0 },
  ...each('maximum exclusiveMaximum minimum exclusiveMinimum', NUMBER),
  ...each('maxLength minLength maxItems minItems maxContains minContains maxProperties minProperties', COUNT),
  ...each('pattern format $ref $schema $comment title description', TEXT),
  ...each('uniqueItems deprecated readOnly writeOnly sensitive', FLAG),
  required: NAMES,
  dependentRequired: { type: 'object', additionalProperties: NAMES },
  default: {},
  examples: { type: 'array' },
}

const SCHEMAS = {
  ...each('items additionalProperties unevaluatedProperties unevaluatedItems contains not if then else propertyNames', 'schema'),
  ...each('allOf anyOf oneOf prefixItems', 'list'),
  ...each('properties patternProperties dependentSchemas $defs', 'map'),
} as const satisfies Record<string, KeywordKind>

/** These judge the same value as the schema that they stand in; others one that is in it, or a name. */
const SAME_PLACE = new Set(['allOf', 'anyOf', 'oneOf', 'not', 'if', 'then', 'else', 'dependentSchemas'])

function each<V>(names: string, value: V): Record<string, V> {
  return Object.fromEntries(names.split(' ').map((name) => [name, value]))
}

export const KEYWORDS: readonly string[] = [...Object.keys(SCHEMAS), ...Object.keys(VALUES)]

export function kindOf(keyword: string): KeywordKind | undefined {
  if (Object.hasOwn(SCHEMAS, keyword)) return SCHEMAS[keyword]
  return Object.hasOwn(VALUES, keyword) ? 'value' : undefined
}

/** The schema of a keyword's value. */
export const valueSchema = (keyword: string): JsonObject => VALUES[keyword]!

export interface Subschema {
  readonly schema: Json
  /** from the schema around it */
  readonly at: readonly string[]
  readonly place: 'same' | 'below'
}

/** The schemas that stand directly in one that has passed its rules. */
export function subschemasOf(schema: JsonObject): Subschema[] {
  return Object.entries(schema).flatMap(([keyword, value]): Subschema[] => {
    const place = SAME_PLACE.has(keyword) ? 'same' : 'below'
    switch (kindOf(keyword)) {
      case 'schema':
        return [{ schema: value, at: [keyword], place }]
      case 'list':
      case 'map':
        return Object.entries(value as JsonObject).map(([key, inner]) => ({ schema: inner, at: [keyword, key], place }))
      default:
        return []
    }
  })
}
