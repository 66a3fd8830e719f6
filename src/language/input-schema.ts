/** A JSON Schema (2020-12) of an input or of an output: checked, compiled once, and what it says about a value. Nothing is coerced or filled in. */
import { LRUCache } from 'lru-cache'
import type { Issue } from '../errors.ts'
import { IssueList } from './issue-list.ts'
import { compileSchema } from './json-schema/compile-schema.ts'
import { Run, TOO_COSTLY, type Check } from './json-schema/run.ts'
import { findLooseness } from './json-schema/schema-loose.ts'
import { checkSchema } from './json-schema/schema-rules.ts'
import type { Json, JsonObject } from './values.ts'
import { sensitivePlaces, sensitiveShape } from './sensitive.ts'
import type { Places } from '../masking/places.ts'

const MAX_SCHEMA_BYTES = 50_000

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
  try {
    checkSchema(schema, issues, of)
    if (issues.empty) findLooseness(schema, [of], issues, warnings)
    if (!issues.empty) return failed
    const check = compileSchema(schema)
    const sensitive = sensitivePlaces(schema)
    const marks = sensitive && { sensitive, shape: sensitiveShape(schema) }
    return { ...failed, check: (value) => checkValue(check, value, of), ...marks }
  } catch (error) {
    issues.add('INVALID_SCHEMA', [of], error instanceof Error ? error.message : undefined)
    return failed
  }
}

/** Messages name what the schema wants, never the values that were sent. */
function checkValue(check: Check, value: Json, of: SchemaOf): Issue[] {
  const run = new Run(of)
  try {
    return check(value, run) ? [] : run.issues
  } catch (error) {
    // a schema that refers to itself for the same value ends with the stack
    const message = error === TOO_COSTLY ? TOO_COSTLY.message : `the schema cannot be applied to this ${of}`
    return [{ code: 'INVALID_VALUE', message, path: [of] }]
  }
}
