/** What a flow's JSON Schema may use of 2020-12: everything but what leaves the document or renames its parts. */
import formats from 'ajv-formats/dist/formats.js'
import type { IssueList } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'
import type { Json, JsonObject } from './values.ts'
import { compileRegex } from './regex.ts'

const SCHEMA_URI = 'https://json-schema.org/draft/2020-12/schema'
/** One schema, a list of schemas, schemas by name, or a plain value. */
const KEYWORDS: Record<string, 'schema' | 'list' | 'map' | 'value'> = {
  ...kind('schema', 'items additionalProperties unevaluatedProperties unevaluatedItems contains not if then else propertyNames'),
  ...kind('list', 'allOf anyOf oneOf prefixItems'),
  ...kind('map', 'properties patternProperties dependentSchemas $defs'),
  ...kind('value', 'type enum const multipleOf maximum exclusiveMaximum minimum exclusiveMinimum maxLength minLength pattern'),
  ...kind(
    'value',
    'maxItems minItems uniqueItems maxContains minContains maxProperties minProperties required dependentRequired',
  ),
  ...kind('value', 'title description default deprecated readOnly writeOnly examples format $ref $schema $comment sensitive'),
}
const KNOWN_KEYWORDS: readonly string[] = Object.keys(KEYWORDS)

function kind<K extends string>(value: K, names: string): Record<string, K> {
  return Object.fromEntries(names.split(' ').map((name) => [name, value]))
}

/** Formats are checked by ajv's own patterns, which are linear enough only for short texts. */
const MAX_FORMATTED_LENGTH = 1_000
export const FORMATS: ReadonlyMap<string, (text: string) => boolean> = new Map(
  (
    [
      'date',
      'time',
      'date-time',
      'duration',
      'email',
      'hostname',
      'ipv4',
      'ipv6',
      'uri',
      'uri-reference',
      'uuid',
      'json-pointer',
    ] as const
  ).map((name) => {
    const format: unknown = formats.fullFormats[name]
    const check = (format as { validate?: unknown }).validate ?? format
    const test = check instanceof RegExp ? (text: string) => check.test(text) : (check as (text: string) => boolean)
    return [name, (text: string) => text.length <= MAX_FORMATTED_LENGTH && test(text)]
  }),
)

/** Reports every keyword that is unknown or not allowed; what values they may have is left to the meta-schema. */
export function checkSchema(schema: unknown, issues: IssueList, of: 'input' | 'output'): void {
  const root = schema as Record<string, unknown>
  if (of === 'input' && 'type' in root && root['type'] !== 'object') {
    issues.add('INVALID_SCHEMA', ['input', 'type'], 'an input is always an object', 'write "type": "object"')
  }
  visit(schema, [of])

  function visit(node: unknown, path: string[]): void {
    if (typeof node === 'boolean' || issues.full) return
    if (typeof node !== 'object' || node === null || Array.isArray(node)) {
      return issues.add('INVALID_SCHEMA', path, 'a schema is an object or a boolean')
    }
    for (const [keyword, value] of Object.entries(node)) visitKeyword(keyword, value, [...path, keyword])
  }

  function visitKeyword(keyword: string, value: unknown, path: string[]): void {
    const kind = Object.hasOwn(KEYWORDS, keyword) ? KEYWORDS[keyword] : undefined
    if (kind === undefined) {
      const message = keyword.startsWith('$') ? `${keyword.slice(0, 30)} is not supported` : 'there is no such keyword'
      return issues.add('INVALID_SCHEMA', path, message, () => didYouMean(keyword, KNOWN_KEYWORDS))
    }
    if (kind === 'schema') return visit(value, path)
    if (kind === 'list' && Array.isArray(value)) return value.forEach((inner, i) => visit(inner, [...path, String(i)]))
    if (kind === 'map' && typeof value === 'object' && value !== null) {
      for (const [name, inner] of Object.entries(value)) {
        if (keyword === 'patternProperties') checkPattern(name, [...path, name])
        visit(inner, [...path, name])
      }
      return
    }
    if (keyword === 'sensitive' && typeof value !== 'boolean') {
      return issues.add('INVALID_SCHEMA', path, 'must be true or false')
    }
    if (typeof value !== 'string') return
    if (keyword === 'pattern') checkPattern(value, path)
    if (keyword === 'format' && !FORMATS.has(value)) {
      issues.add('INVALID_SCHEMA', path, `the formats are ${[...FORMATS.keys()].join(', ')}`, () =>
        didYouMean(value, FORMATS.keys()),
      )
    }
    if (keyword === '$ref') checkReference(value, path)
    if (keyword === '$schema' && value.replace(/#$/, '') !== SCHEMA_URI)
      issues.add('INVALID_SCHEMA', path, `must be ${SCHEMA_URI}`)
  }

  function checkPattern(pattern: string, path: string[]): void {
    const compiled = compileRegex(pattern)
    if (!compiled.ok) issues.add('INVALID_SCHEMA', path, compiled.message, 'patterns are RE2: no look-around, no back references')
  }

  function checkReference(reference: string, path: string[]): void {
    if (reference === '#') return
    const defs = root['$defs'] ?? {}
    const name = /^#\/\$defs\/([A-Za-z0-9_.-]+)$/.exec(reference)?.[1]
    if (name !== undefined && Object.hasOwn(defs, name)) return
    const hint = name === undefined ? undefined : didYouMean(name, Object.keys(defs))
    issues.add('INVALID_SCHEMA', path, 'references lead to "#" or to "#/$defs/NAME" in this schema', hint)
  }
}

/** A copy of a checked schema with `change` applied to each schema directly inside it; booleans stay what they are. */
export function mapSubschemas(schema: JsonObject, change: (inner: JsonObject) => JsonObject): JsonObject {
  const apply = (inner: Json): Json =>
    typeof inner === 'object' && inner !== null && !Array.isArray(inner) ? change(inner) : inner
  const entries = Object.entries(schema).map(([keyword, value]): [string, Json] => {
    switch (KEYWORDS[keyword]) {
      case 'schema':
        return [keyword, apply(value)]
      case 'list':
        return [keyword, (value as Json[]).map(apply)]
      case 'map':
        return [keyword, Object.fromEntries(Object.entries(value as JsonObject).map(([name, inner]) => [name, apply(inner)]))]
      default:
        return [keyword, value]
    }
  })
  return Object.fromEntries(entries)
}
