/** What ajv, the validator most used, says of a schema and of a value: the judge in the tests of our own. It makes code of schemas; only tests run it. */
import { Ajv2020, type ErrorObject } from 'ajv/dist/2020.js'
import { FORMATS } from '../../../src/language/json-schema/formats.ts'
import type { Json, JsonObject } from '../../../src/language/values.ts'

export interface Oracle {
  readonly warnings: readonly string[]
  /** like our issues: "CODE path message"; undefined: the code that it made breaks, or never ends */
  check(value: Json): string[] | undefined
}

const metaSchema = new Ajv2020({ allErrors: true }).getSchema('https://json-schema.org/draft/2020-12/schema')!

/** undefined: ajv refuses the schema. */
export function askAjv(schema: JsonObject): Oracle | undefined {
  if (metaSchema(schema) !== true) return undefined
  const warnings: string[] = []
  const warn = (message: unknown): void =>
    void warnings.push(String(message).replace(/^strict mode: | at "#.*" \(strictTypes\)$/g, ''))
  const ajv = new Ajv2020({
    strict: true,
    strictTypes: 'log',
    strictTuples: false,
    strictRequired: false,
    allowUnionTypes: true,
    allErrors: true,
    verbose: true,
    ownProperties: true,
    meta: false,
    validateSchema: false,
    logger: { log: warn, warn, error: warn },
  })
  for (const [name, validate] of FORMATS) ajv.addFormat(name, { type: 'string', validate })
  // with a rule in every schema none is left out because it says nothing
  ajv.addKeyword({ keyword: 'entered', schema: false, errors: false, validate: () => true })
  const validate = attempt(() => ajv.compile(entered(schema)))
  return (
    validate && { warnings, check: (value) => attempt(() => (validate(value) ? [] : (validate.errors ?? []).flatMap(describe))) }
  )
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch {
    return undefined
  }
}

/** Every object could be a schema; where it is none nothing reads the mark. */
function entered(schema: JsonObject): JsonObject {
  const inner = Object.entries(schema).map(([keyword, value]): [string, Json] => {
    if (['const', 'enum', 'dependentRequired'].includes(keyword)) return [keyword, value]
    if (['properties', 'patternProperties', 'dependentSchemas', '$defs'].includes(keyword))
      return [keyword, Object.fromEntries(Object.entries(value as JsonObject).map(([name, one]) => [name, mark(one)]))]
    return [keyword, Array.isArray(value) ? value.map(mark) : mark(value)]
  })
  return { ...Object.fromEntries(inner), entered: true }
}

const mark = (value: Json): Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? entered(value) : value

function describe({ keyword, instancePath, message, params }: ErrorObject): string[] {
  const path = ['input', ...instancePath.split('/').slice(1)].join('.')
  const { missingProperty, additionalProperty, unevaluatedProperty, type, allowedValues } = params as Record<string, unknown>
  switch (keyword) {
    case 'if':
    case 'propertyNames':
      return []
    case 'required':
      return [`REQUIRED ${path}.${String(missingProperty)} The field is missing.`]
    case 'additionalProperties':
    case 'unevaluatedProperties':
      return [`UNKNOWN_FIELD ${path}.${String(additionalProperty ?? unevaluatedProperty)} There is no such field.`]
    case 'type':
      return [`INVALID_TYPE ${path} must be ${String(type).replaceAll(',', ' or ')}`]
    case 'enum':
      return [`INVALID_VALUE ${path} must be one of ${JSON.stringify(allowedValues)}`]
    case 'uniqueItems':
      return [`INVALID_VALUE ${path} must not hold the same item twice`]
    default:
      return [`INVALID_VALUE ${path} ${message}`]
  }
}
