/** A JSON Schema (2020-12) compiled to closures, once: no text of it becomes code. Its rules are checked before, by `schema-rules.ts`. */
import { typesOf } from '../schema-paths.ts'
import type { Json, JsonObject } from '../values.ts'
import { LIST_KEYWORDS } from './arrays.ts'
import { COMBINING_KEYWORDS } from './combined.ts'
import { EQUALITY_KEYWORDS } from './equality.ts'
import { OBJECT_KEYWORDS } from './objects.ts'
import { Seen, type Check, type Context, type Keyword } from './run.ts'
import { NUMBER_KEYWORDS, TEXT_KEYWORDS } from './scalars.ts'

const refer: Keyword = (reference: string, context) => context.refer(reference)
/** What is checked whatever the value is. */
const ANY_KEYWORDS: Record<string, Keyword> = { $ref: refer, ...EQUALITY_KEYWORDS, ...COMBINING_KEYWORDS }

/** What is checked of a value of this kind only; values of a kind that is not named have `ANY_KEYWORDS` alone. */
export const KEYWORDS_BY_KIND = {
  number: NUMBER_KEYWORDS,
  string: TEXT_KEYWORDS,
  array: LIST_KEYWORDS,
  object: OBJECT_KEYWORDS,
} as const satisfies Record<string, Record<string, Keyword>>

type Kind = keyof typeof KEYWORDS_BY_KIND | 'boolean' | 'null'
const KINDS: readonly Kind[] = ['number', 'string', 'array', 'object', 'boolean', 'null']

/** `root` has passed its rules, so its references lead to schemas. */
export function compileSchema(root: JsonObject): Check {
  const compiled = new Map<Json, Check>()

  function compile(schema: Json): Check {
    if (typeof schema === 'boolean')
      return (_, run) => (run.pay(1), schema) || run.fail('INVALID_VALUE', 'boolean schema is false')
    return compileObject(schema as JsonObject)
  }

  /** A schema is compiled when it is first needed: it may lead back to itself. */
  function referTo(reference: string): Check {
    const target = reference === '#' ? root : (root['$defs'] as JsonObject)[reference.slice('#/$defs/'.length)]!
    return (value, run) => {
      let check = compiled.get(target)
      if (!check) compiled.set(target, (check = compile(target)))
      return check(value, run)
    }
  }

  function compileObject(schema: JsonObject): Check {
    const context: Context = { schema, compile, refer: referTo }
    const any = checksOf(schema, ANY_KEYWORDS, context)
    const lists = Object.fromEntries(KINDS.map((kind) => [kind, checksFor(kind, schema, any, context)])) as Record<Kind, Check[]>
    const asks = 'unevaluatedProperties' in schema || 'unevaluatedItems' in schema
    const check: Check = (value, run) => {
      run.pay(1)
      return run.all(lists[kindOf(value)], (check) => check(value, run))
    }
    return asks ? asking(check) : check
  }

  return compile(root)
}

/** Its `unevaluated...` is about what it has looked at itself; what it has looked at counts for the schema around it too. */
const asking =
  (check: Check): Check =>
  (value, run) => {
    const around = run.seen
    const own = (run.seen = new Seen())
    const fits = check(value, run)
    run.seen = around
    around?.add(own)
    return fits
  }

function kindOf(value: Json): Kind {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return typeof value as Exclude<Kind, 'null' | 'array'>
}

function checksOf(schema: JsonObject, keywords: Record<string, Keyword>, context: Context): Check[] {
  return Object.keys(keywords).flatMap((keyword) => {
    if (!Object.hasOwn(schema, keyword)) return []
    return keywords[keyword]!(schema[keyword] as never, context) ?? []
  })
}

/** All that is checked of values of one kind, in the order in which it is told: a wrong type stands where what it should have been would. */
function checksFor(kind: Kind, schema: JsonObject, any: readonly Check[], context: Context): Check[] {
  const own = isKeyed(kind) ? checksOf(schema, KEYWORDS_BY_KIND[kind], context) : []
  const types = typesOf(schema)
  if (!types || types.includes(kind)) return [...any, ...own]
  const message = `must be ${types.join(' or ')}`
  if (kind === 'number' && types.includes('integer'))
    return [(value, run) => Number.isInteger(value) || run.fail('INVALID_TYPE', message), ...any, ...own]
  const wrong: Check = (_, run) => run.fail('INVALID_TYPE', message)
  const [type] = types
  if (types.length > 1 || !isKeyed(type!) || !Object.keys(KEYWORDS_BY_KIND[type]).some((keyword) => keyword in schema))
    return [wrong, ...any, ...own]
  return KINDS.indexOf(kind) < KINDS.indexOf(type) ? [...any, ...own, wrong] : [...any, wrong, ...own]
}

const isKeyed = (type: string): type is keyof typeof KEYWORDS_BY_KIND => Object.hasOwn(KEYWORDS_BY_KIND, type)
