/** What a JSON Schema says without effect, or hardly means: refused when it must be a mistake, else a warning. The rules are ajv's strict mode. */
import type { IssueList } from '../issue-list.ts'
import { compileRegex } from '../regex.ts'
import { typesOf } from '../schema-paths.ts'
import type { Json, JsonObject } from '../values.ts'
import { KEYWORDS_BY_KIND } from './compile-schema.ts'
import { subschemasOf, type Subschema } from './keywords.ts'

/** The types that each keyword is about. */
const TYPES_OF = new Map<string, string[]>()
for (const [type, keywords] of Object.entries(KEYWORDS_BY_KIND)) {
  for (const keyword of Object.keys(keywords)) TYPES_OF.set(keyword, [...(TYPES_OF.get(keyword) ?? []), type])
}
for (const keyword of ['minContains', 'maxContains']) TYPES_OF.set(keyword, ['array'])

/** `schema` has passed its rules. */
export function findLooseness(schema: JsonObject, path: readonly string[], issues: IssueList, warnings: IssueList): void {
  visit(schema, path, [])

  /** `around`: the types that the value is known to have */
  function visit(node: Json, path: readonly string[], around: readonly string[]): void {
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return
    for (const [keyword, message] of useless(node)) issues.add('INVALID_SCHEMA', [...path, keyword], message)
    const types = typesOf(node) ?? []
    for (const type of types) {
      if (around.length > 0 && !includesType(around, type))
        warnings.add('LOOSE_SCHEMA', [...path, 'type'], `type "${type}" not allowed by context "${around.join()}"`)
    }
    const known = types.length === 0 ? around : around.length === 0 ? types : narrowed(around, types)
    for (const keyword of Object.keys(node)) {
      const wanted = TYPES_OF.get(keyword)
      if (wanted && !wanted.some((type) => known.includes(type) || (type === 'number' && known.includes('integer'))))
        warnings.add('LOOSE_SCHEMA', [...path, keyword], `missing type "${wanted.join()}" for keyword "${keyword}"`)
    }
    for (const inner of subschemasOf(node)) visit(inner.schema, [...path, ...inner.at], typesBelow(inner, known))
  }
}

function typesBelow({ at, place }: Subschema, known: readonly string[]): readonly string[] {
  if (at[0] === 'propertyNames') return ['string']
  return place === 'same' ? known : []
}

/** Keywords that have no effect where they stand. */
function* useless(schema: JsonObject): Iterable<[string, string]> {
  const { contains, minContains, maxContains } = schema
  if ('if' in schema && !('then' in schema) && !('else' in schema)) yield ['if', '"if" without "then" and "else" is ignored']
  for (const keyword of ['then', 'else'])
    if (keyword in schema && !('if' in schema)) yield [keyword, `"${keyword}" without "if" is ignored`]
  for (const keyword of ['minContains', 'maxContains'])
    if (keyword in schema && contains === undefined) yield [keyword, `"${keyword}" without "contains" is ignored`]
  if (contains !== undefined && minContains === 0 && maxContains === undefined)
    yield ['minContains', '"minContains" == 0 without "maxContains": "contains" keyword ignored']
  if (contains !== undefined && ((minContains ?? 1) as number) > ((maxContains ?? Number.POSITIVE_INFINITY) as number))
    yield ['minContains', '"minContains" > "maxContains" is always invalid']
  for (const pattern of Object.keys((schema['patternProperties'] as JsonObject | undefined) ?? {})) {
    const compiled = compileRegex(pattern)
    if (!compiled.ok) continue
    for (const field of Object.keys((schema['properties'] as JsonObject | undefined) ?? {}))
      if (compiled.regex.test(field)) yield ['patternProperties', `property ${field} matches pattern ${pattern}`]
  }
}

const includesType = (types: readonly string[], type: string): boolean =>
  types.includes(type) || (type === 'integer' && types.includes('number'))

const narrowed = (around: readonly string[], types: readonly string[]): string[] =>
  around.flatMap((type) => {
    if (includesType(types, type)) return [type]
    return types.includes('integer') && type === 'number' ? ['integer'] : []
  })
