/**
 * Which places of a value its JSON Schema marks with `"sensitive": true`. Whether a branch of `anyOf` or `if` applies is not asked:
 * what may be sensitive is.
 */
import { HIDDEN, joined } from '../masking/places.ts'
import type { Places } from '../masking/places.ts'
import { compileRegex } from './regex.ts'
import type { Regex } from './regex.ts'
import type { Json, JsonObject } from './values.ts'

/** Subschemas entered for one input; an input that takes more is hidden whole. */
const MAX_VISITS = 200_000

/** undefined when the schema marks nothing. */
export function sensitivePlaces(schema: JsonObject): ((input: JsonObject) => Places) | undefined {
  if (!marksAnything(schema)) return undefined
  return (input) => {
    const walk: Walk = { root: schema, left: MAX_VISITS, patterns: new Map() }
    const places = find(schema, input, walk, new Set()) ?? {}
    return walk.left < 0 ? HIDDEN : places
  }
}

const marksAnything = (schema: Json): boolean =>
  typeof schema === 'object' &&
  schema !== null &&
  ((schema as JsonObject)['sensitive'] === true || Object.values(schema).some(marksAnything))

/** The places that the schema marks in whatever value comes: of outputs, which are not known yet. */
export function sensitiveShape(schema: JsonObject): Places {
  return shapeOf(schema, schema, new Set()) ?? {}
}

/** `above`: the schemas around this one; in one that holds itself all below is hidden, as deep as it may go. */
function shapeOf(schema: Json | undefined, root: JsonObject, above: ReadonlySet<Json>): Places | undefined {
  if (!isObject(schema)) return undefined
  if (schema['sensitive'] === true) return HIDDEN
  if (above.has(schema)) return marksAnything(schema) ? HIDDEN : undefined
  const inside = new Set(above).add(schema)
  let places: Places | undefined
  const add = (found: Places | undefined): void => {
    if (found) places = joined(places, found)
  }
  for (const inner of samePlace(schema, root)) add(shapeOf(inner, root, inside))
  for (const [key, inner] of Object.entries((schema['properties'] as JsonObject | undefined) ?? {})) {
    const found = shapeOf(inner, root, inside)
    if (found) add({ fields: new Map([[key, found]]) })
  }
  for (const inner of anywhereBelow(schema)) {
    const found = shapeOf(inner, root, inside)
    if (found) add({ any: found })
  }
  return places
}

function anywhereBelow(schema: JsonObject): (Json | undefined)[] {
  const ones = ['additionalProperties', 'unevaluatedProperties', 'items', 'contains', 'unevaluatedItems'].map(
    (keyword) => schema[keyword],
  )
  const patterns = Object.values((schema['patternProperties'] as JsonObject | undefined) ?? {})
  return [...ones, ...patterns, ...((schema['prefixItems'] as Json[] | undefined) ?? [])]
}

interface Walk {
  root: JsonObject
  left: number
  patterns: Map<string, Regex | undefined>
}

/** `here`: the schemas entered for this very value, so that references in a circle end. */
function find(schema: Json | undefined, value: Json, walk: Walk, here: Set<Json>): Places | undefined {
  if (!isObject(schema) || here.has(schema) || --walk.left < 0) return undefined
  if (schema['sensitive'] === true) return HIDDEN
  here.add(schema)
  let places: Places | undefined
  const add = (found: Places | undefined): void => {
    if (found) places = joined(places, found)
  }
  for (const inner of samePlace(schema, walk.root)) add(find(inner, value, walk, here))
  if (typeof value !== 'object' || value === null) return places
  const fields = new Map<string, Places>()
  for (const [key, inner] of Object.entries(value)) {
    for (const below of Array.isArray(value) ? ofItem(schema, Number(key)) : ofField(schema, key, walk)) {
      const found = find(below, inner, walk, new Set())
      if (found) fields.set(key, joined(fields.get(key), found))
    }
    if (walk.left < 0) break
  }
  if (fields.size > 0) add({ fields })
  return places
}

function samePlace(schema: JsonObject, root: JsonObject): (Json | undefined)[] {
  const lists = ['allOf', 'anyOf', 'oneOf'].flatMap((keyword) => (schema[keyword] as Json[] | undefined) ?? [])
  const ones = ['if', 'then', 'else', 'not'].map((keyword) => schema[keyword])
  const dependent = Object.values((schema['dependentSchemas'] as JsonObject | undefined) ?? {})
  return [...lists, ...ones, ...dependent, resolve(schema['$ref'], root)]
}

/** `#` or `#/$defs/NAME`: the rules of schemas allow no others. */
function resolve(reference: Json | undefined, root: JsonObject): Json | undefined {
  if (typeof reference !== 'string') return undefined
  return reference === '#' ? root : (root['$defs'] as JsonObject | undefined)?.[reference.slice('#/$defs/'.length)]
}

function ofItem(schema: JsonObject, at: number): (Json | undefined)[] {
  const first = (schema['prefixItems'] as Json[] | undefined) ?? []
  return [at < first.length ? first[at] : schema['items'], schema['contains'], schema['unevaluatedItems']]
}

function ofField(schema: JsonObject, key: string, walk: Walk): (Json | undefined)[] {
  const properties = (schema['properties'] as JsonObject | undefined) ?? {}
  const found: (Json | undefined)[] = Object.hasOwn(properties, key) ? [properties[key]] : []
  for (const [pattern, inner] of Object.entries((schema['patternProperties'] as JsonObject | undefined) ?? {})) {
    if (matches(pattern, key, walk)) found.push(inner)
  }
  return found.length > 0 ? found : [schema['additionalProperties'], schema['unevaluatedProperties']]
}

function matches(pattern: string, key: string, { patterns }: Walk): boolean {
  if (!patterns.has(pattern)) {
    const compiled = compileRegex(pattern)
    patterns.set(pattern, compiled.ok ? compiled.regex : undefined)
  }
  // a pattern that cannot be judged counts
  return patterns.get(pattern)?.test(key) ?? true
}

const isObject = (schema: Json | undefined): schema is JsonObject =>
  typeof schema === 'object' && schema !== null && !Array.isArray(schema)
