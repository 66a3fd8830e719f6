/** A JSON Schema (2020-12) of an input or of an output: checked, compiled once, and what it says about a value. Nothing is coerced or filled in. */
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js'
import { LRUCache } from 'lru-cache'
import type { Issue } from '../errors.ts'
import { checkSchema, FORMATS, mapSubschemas } from './input-schema-rules.ts'
import { IssueList } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'
import type { Json, JsonObject } from './values.ts'
import { compileRegex } from './regex.ts'
import { sensitivePlaces, sensitiveShape } from './sensitive.ts'
import type { Places } from '../masking/places.ts'

const MAX_SCHEMA_BYTES = 50_000
const MAX_INPUT_ISSUES = 50

export interface InputSchema {
  /** problems of the schema itself; with any, `check` accepts nothing */
  issues: readonly Issue[]
  warnings: readonly Issue[]
  check(value: Json): Issue[]
  /** the places in an input that it marks as sensitive; undefined when it marks none anywhere */
  sensitive?: (input: JsonObject) => Places
  /** the places in any value that it marks as sensitive */
  shape?: Places
}
/** What it describes: paths begin with it. */
export type SchemaOf = 'input' | 'output'

/** Compiling takes milliseconds and flows come back at every load, so compiled schemas are kept by their text. */
const compiled = new LRUCache<string, InputSchema>({ max: 500, maxSize: 5_000_000, sizeCalculation: (_, text) => text.length })

/** Compiles a schema (paths start with "input"), or returns the one compiled before from the same text. */
export function compileInputSchema(schema: JsonObject, of: SchemaOf = 'input'): InputSchema {
  const text = JSON.stringify(schema)
  const known = compiled.get(of + text)
  if (known) return known
  const made = compile(schema, text, of)
  compiled.set(of + text, made)
  return made
}

function compile(schema: JsonObject, text: string, of: SchemaOf): InputSchema {
  const issues = new IssueList()
  const warnings = new IssueList()
  const failed: InputSchema = {
    issues: issues.issues,
    warnings: warnings.issues,
    check: () => [{ code: 'INVALID_SCHEMA', message: 'the JSON Schema is not valid', path: [of] }],
  }
  if (Buffer.byteLength(text) > MAX_SCHEMA_BYTES) {
    issues.add('TOO_LARGE', [of], `the schema is larger than ${MAX_SCHEMA_BYTES} bytes`)
    return failed
  }
  checkSchema(schema, issues, of)
  try {
    checkAgainstMetaSchema(schema, issues, of)
    if (!issues.empty) return failed
    const validate = build(schema, warnings, of)
    const sensitive = sensitivePlaces(schema)
    const marks = sensitive && { sensitive, shape: sensitiveShape(schema) }
    return { ...failed, check: (value) => checkValue(validate, value, of), ...marks }
  } catch (error) {
    issues.add('INVALID_SCHEMA', [of], error instanceof Error ? error.message : undefined)
    return failed
  }
}

/** What checking an input may cost, in units of about 50 ns: subschemas entered, RE2 steps, texts compared. */
const MAX_VISITS = 5_000_000
const TOO_COSTLY = new Error('the schema takes too much work on this input')
let visits = 0
function visit(units: number): void {
  if ((visits += units) > MAX_VISITS) throw TOO_COSTLY
}

function build(schema: JsonObject, warnings: IssueList, of: SchemaOf): ValidateFunction {
  const warn = (message: unknown): void => warnings.add('LOOSE_SCHEMA', [of], String(message).replace('strict mode: ', ''))
  // A new instance for each schema: one instance would keep every pattern and function it ever compiled.
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: 'log',
    strictTuples: false,
    strictRequired: false,
    allowUnionTypes: true,
    allErrors: true,
    verbose: true,
    // `required: ["toString"]` must not be met by what every object inherits.
    ownProperties: true,
    meta: false,
    validateSchema: false,
    addUsedSchema: false,
    code: { regExp: Object.assign(re2ForAjv, { code: 're2ForAjv' }) },
    logger: { log: warn, warn, error: warn },
  })
  for (const [name, format] of FORMATS) ajv.addFormat(name, { type: 'string', validate: format })
  // ajv compares every pair, which a list of 100,000 objects makes 10^10 comparisons.
  ajv.removeKeyword('uniqueItems')
  ajv.addKeyword({ keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', validate: isUnique, errors: false })
  ajv.addKeyword({ keyword: 'sensitive', schemaType: 'boolean' })
  ajv.addKeyword({ keyword: METER, schema: false, errors: false, validate: () => (visit(1), true) })
  return ajv.compile(metered(schema))
}

const METER = 'sluiceMeter'

/** Counts every entry of a subschema: references can double the work at each level, and a list of schemas multiplies a long list. */
const metered = (schema: JsonObject): JsonObject => ({ ...mapSubschemas(schema, metered), [METER]: true })

/** The engine that ajv calls for `pattern`. It keeps one per text of `toString()`, which therefore names the pattern. */
function re2ForAjv(pattern: string): RegExp {
  const result = compileRegex(pattern)
  if (!result.ok) throw new Error(result.message)
  const { regex } = result
  const engine = {
    test(text: string): boolean {
      visit(4 + (text.length * regex.size) / 10)
      return regex.test(text)
    },
    toString: () => `re2 ${pattern}`,
  }
  return engine as unknown as RegExp
}

function isUnique(wanted: boolean, list: unknown[]): boolean {
  if (!wanted) return true
  const seen = new Set<string>()
  for (const item of list) {
    const text = canonical(item)
    visit(text.length / 20)
    seen.add(text)
  }
  return seen.size === list.length
}

function canonical(value: unknown): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join()}]`
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))
  return `{${fields.map(([key, inner]) => `${JSON.stringify(key)}:${canonical(inner)}`).join()}}`
}

let metaSchema: ValidateFunction | undefined

function checkAgainstMetaSchema(schema: JsonObject, issues: IssueList, of: SchemaOf): void {
  metaSchema ??= new Ajv2020({ allErrors: true }).getSchema('https://json-schema.org/draft/2020-12/schema')!
  if (metaSchema(schema)) return
  const seen = new Set<string>()
  for (const { keyword, instancePath, message } of metaSchema.errors ?? []) {
    const text = `${instancePath} ${message}`
    // The meta-schema is many schemas in one: a mistake is told by each, and the sums of them say nothing.
    if (seen.has(text) || keyword === 'anyOf') continue
    seen.add(text)
    issues.add('INVALID_SCHEMA', [of, ...pointer(instancePath)], message)
  }
  if (issues.empty) issues.add('INVALID_SCHEMA', [of])
}

function checkValue(validate: ValidateFunction, value: Json, of: SchemaOf): Issue[] {
  visits = 0
  try {
    if (validate(value)) return []
  } catch (error) {
    const message = error === TOO_COSTLY ? TOO_COSTLY.message : `the schema cannot be applied to this ${of}`
    return [{ code: 'INVALID_VALUE', message, path: [of] }]
  }
  const issues = new IssueList()
  for (const error of validate.errors ?? []) {
    if (issues.issues.length === MAX_INPUT_ISSUES) break
    describe(error, issues, of)
  }
  if (issues.empty) issues.add('INVALID_VALUE', [of])
  return issues.issues
}

/** Messages name what the schema wants, never the values that were sent. */
function describe(error: ErrorObject, issues: IssueList, of: SchemaOf): void {
  const path = [of, ...pointer(error.instancePath)]
  const { params } = error as { params: Record<string, unknown> }
  switch (error.keyword) {
    case 'if':
    case 'propertyNames':
      return
    case 'required':
      return issues.add('REQUIRED', [...path, String(params['missingProperty'])])
    case 'additionalProperties':
    case 'unevaluatedProperties': {
      const key = String(params['additionalProperty'] ?? params['unevaluatedProperty'])
      const fields = Object.keys((error.parentSchema?.['properties'] as object | undefined) ?? {})
      return issues.add('UNKNOWN_FIELD', [...path, key], undefined, () => didYouMean(key, fields))
    }
    case 'type':
      return issues.add('INVALID_TYPE', path, `must be ${String(params['type']).replaceAll(',', ' or ')}`)
    case 'enum':
      return issues.add('INVALID_VALUE', path, `must be one of ${JSON.stringify(params['allowedValues'])}`)
    case 'uniqueItems':
      return issues.add('INVALID_VALUE', path, 'must not hold the same item twice')
    default:
      return issues.add('INVALID_VALUE', path, error.message)
  }
}

/** JSON pointer to path: `/a~1b/0` -> ["a/b", "0"]. */
function pointer(text: string): string[] {
  if (text === '') return []
  const keys = text.slice(1).split('/')
  return keys.map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'))
}
