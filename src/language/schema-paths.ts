/** What a JSON Schema says about one place in a value, as far as it says so without doubt. */
import type { Json, JsonObject } from './values.ts'

/** `unknown`: it does not say; `missing`: there is no such field, among these. */
export type Found =
  | { readonly kind: 'schema'; readonly schema: JsonObject }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'missing'; readonly key: string; readonly among: readonly string[] }

const UNKNOWN: Found = { kind: 'unknown' }
/** With these, what a value looks like depends on the value. */
const BRANCHES = ['anyOf', 'oneOf', 'allOf', 'if', 'not', 'dependentSchemas', 'unevaluatedProperties', 'unevaluatedItems']

/** `path`: `'*'` is a key that is computed. */
export function followSchema(root: JsonObject, path: readonly string[]): Found {
  let here: JsonObject | undefined = resolved(root, root)
  for (const key of path) {
    if (!here || BRANCHES.some((keyword) => keyword in here!)) return UNKNOWN
    const types = typesOf(here)
    if (types && !types.includes('object') && !types.includes('array')) return { kind: 'missing', key, among: [] }
    const next: Json | undefined = types?.includes('array') ? itemOf(here, key) : fieldOf(here, key)
    if (next === undefined && isClosed(here, key)) return { kind: 'missing', key, among: Object.keys(propertiesOf(here)) }
    here = resolved(next, root)
  }
  return here ? { kind: 'schema', schema: here } : UNKNOWN
}

/** The types that a value may have; undefined: any. */
export function typesOf(schema: JsonObject): readonly string[] | undefined {
  const { type } = schema
  if (typeof type === 'string') return [type]
  return Array.isArray(type) ? (type as string[]) : undefined
}

const propertiesOf = (schema: JsonObject): JsonObject => (schema['properties'] as JsonObject | undefined) ?? {}

function fieldOf(schema: JsonObject, key: string): Json | undefined {
  const properties = propertiesOf(schema)
  if (Object.hasOwn(properties, key)) return properties[key]
  return isObject(schema['additionalProperties']) ? schema['additionalProperties'] : undefined
}

/** An index, or one that is computed. */
function itemOf(schema: JsonObject, key: string): Json | undefined {
  return key === '*' || /^\d+$/.test(key) ? (schema['prefixItems'] ? undefined : schema['items']) : undefined
}

/** A field that an object with named fields does not name: also where others are let pass, nobody knows of it. */
function isClosed(schema: JsonObject, key: string): boolean {
  if (key === '*' || 'patternProperties' in schema || schema['additionalProperties'] === true) return false
  if (typesOf(schema)?.includes('array')) return false
  return schema['additionalProperties'] === false || Object.keys(propertiesOf(schema)).length > 0
}

function resolved(schema: Json | undefined, root: JsonObject): JsonObject | undefined {
  let here = schema
  for (let i = 0; i < 10 && isObject(here) && typeof here['$ref'] === 'string'; i++) {
    const reference = here['$ref']
    here = reference === '#' ? root : (root['$defs'] as JsonObject | undefined)?.[reference.slice('#/$defs/'.length)]
  }
  return isObject(here) && !('$ref' in here) ? here : undefined
}

const isObject = (value: Json | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
