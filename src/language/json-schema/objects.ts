/** The keywords of objects, in the order in which they are checked. A field is one of the object's own. */
import { didYouMean } from '../nearest-name.ts'
import type { Json, JsonObject } from '../values.ts'
import type { Check, Keyword, Run } from './run.ts'
import { compilePattern } from './scalars.ts'

const limit =
  (wish: string, fits: (fields: number, limit: number) => boolean): Keyword =>
  (limit: number) =>
  (value, run) =>
    fits(keysOf(value, run).length, limit) || run.fail('INVALID_VALUE', `must NOT have ${wish} than ${limit} properties`)

export const OBJECT_KEYWORDS: Record<string, Keyword> = {
  maxProperties: limit('more', (fields, most) => fields <= most),
  minProperties: limit('fewer', (fields, least) => fields >= least),
  required: (keys: string[]) => (value, run) => run.all(missing(value, keys, run), (key) => run.fail('REQUIRED', undefined, key)),
  propertyNames: (schema: Json, { compile }) => {
    const check = compile(schema)
    return (value, run) => run.all(keysOf(value, run), (key) => aside(check, key, run))
  },
  additionalProperties: (schema: Json, context) => {
    const fields = fieldsOf(context.schema)
    const patterns = Object.keys((context.schema['patternProperties'] as JsonObject | undefined) ?? {}).map(compilePattern)
    const check = schema === false ? undefined : context.compile(schema)
    return (value, run) => {
      run.seen?.markAll()
      if (schema === true) return true
      const others = keysOf(value, run).filter(
        (key) => !Object.hasOwn(fields, key) && !patterns.some((matches) => matches(key, run)),
      )
      return run.all(others, (key) => (check ? run.below(check, (value as JsonObject)[key]!, key) : unknown(key, fields, run)))
    }
  },
  properties: (schemas: JsonObject, { compile }) => {
    const checks = Object.entries(schemas).map(([key, schema]): [string, Check] => [key, compile(schema)])
    return (value, run) =>
      run.all(checks, ([key, check]) => {
        if (!has(value, key)) return true
        run.seen?.mark(key)
        return run.below(check, (value as JsonObject)[key]!, key)
      })
  },
  patternProperties: (schemas: JsonObject, { compile }) => {
    const checks = Object.entries(schemas).map(([pattern, schema]) => [compilePattern(pattern), compile(schema)] as const)
    return (value, run) =>
      run.all(checks, ([matches, check]) =>
        run.all(keysOf(value, run), (key) => {
          if (!matches(key, run)) return true
          run.seen?.mark(key)
          return run.below(check, (value as JsonObject)[key]!, key)
        }),
      )
  },
  dependentRequired: (dependents: { [key: string]: string[] }) => (value, run) =>
    run.all(Object.entries(dependents), ([field, keys]) => {
      if (!has(value, field)) return true
      const which = `${keys.length === 1 ? 'property' : 'properties'} ${keys.join(', ')}`
      const message = `must have ${which} when property ${field} is present`
      return run.all(missing(value, keys, run), () => run.fail('INVALID_VALUE', message))
    }),
  dependentSchemas: (schemas: JsonObject, { compile }) => {
    const checks = Object.entries(schemas).map(([key, schema]): [string, Check] => [key, compile(schema)])
    return (value, run) => run.all(checks, ([key, check]) => !has(value, key) || check(value, run))
  },
  unevaluatedProperties: (schema: Json, context) => {
    const fields = fieldsOf(context.schema)
    const check = schema === false ? undefined : context.compile(schema)
    return (value, run) => {
      const seen = run.seen!
      const rest = keysOf(value, run).filter((key) => !seen.has(key))
      const fits = run.all(rest, (key) =>
        check ? run.below(check, (value as JsonObject)[key]!, key) : unknown(key, fields, run),
      )
      seen.markAll()
      return fits
    }
  },
}

const fieldsOf = (schema: JsonObject): JsonObject => (schema['properties'] as JsonObject | undefined) ?? {}

/** JSON has no undefined; a value that is to become JSON may. */
const has = (value: Json, key: string): boolean =>
  Object.hasOwn(value as JsonObject, key) && (value as JsonObject)[key] !== undefined

function keysOf(value: Json, run: Run): string[] {
  const keys = Object.keys(value as JsonObject)
  run.pay(keys.length / 10)
  return keys
}

function missing(value: Json, keys: readonly string[], run: Run): string[] {
  run.pay(keys.length / 10)
  return keys.filter((key) => !has(value, key))
}

const unknown = (key: string, fields: JsonObject, run: Run): false =>
  run.fail('UNKNOWN_FIELD', undefined, key, () => didYouMean(key, Object.keys(fields)))

/** A key is judged as a text of its own: it has no fields, and none of the object's are looked at by that. */
function aside(check: Check, key: string, run: Run): boolean {
  const { seen } = run
  run.seen = undefined
  const fits = check(key, run)
  run.seen = seen
  return fits
}
