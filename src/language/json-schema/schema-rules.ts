/** What a flow's JSON Schema may use of 2020-12: everything but what leaves the document or renames its parts. */
import type { IssueList } from '../issue-list.ts'
import { didYouMean } from '../nearest-name.ts'
import { compileRegex } from '../regex.ts'
import type { Json } from '../values.ts'
import { compileSchema } from './compile-schema.ts'
import { FORMATS } from './formats.ts'
import { KEYWORDS, kindOf, valueSchema } from './keywords.ts'
import { Run, type Check } from './run.ts'

const SCHEMA_URI = 'https://json-schema.org/draft/2020-12/schema'

/** Reports every keyword that is unknown or not allowed, and every value that a keyword cannot have. */
export function checkSchema(schema: Json, issues: IssueList, of: 'input' | 'output'): void {
  const root = schema as Record<string, unknown>
  if (of === 'input' && 'type' in root && root['type'] !== 'object') {
    issues.add('INVALID_SCHEMA', ['input', 'type'], 'an input is always an object', 'write "type": "object"')
  }
  visit(schema, [of])

  function visit(node: Json, path: string[]): void {
    if (typeof node === 'boolean' || issues.full) return
    if (typeof node !== 'object' || node === null || Array.isArray(node)) {
      return issues.add('INVALID_SCHEMA', path, 'a schema is an object or a boolean')
    }
    for (const [keyword, value] of Object.entries(node)) visitKeyword(keyword, value, [...path, keyword])
  }

  function visitKeyword(keyword: string, value: Json, path: string[]): void {
    switch (kindOf(keyword)) {
      case 'schema':
        return visit(value, path)
      case 'list':
        if (!Array.isArray(value)) return issues.add('INVALID_SCHEMA', path, 'must be array')
        if (value.length === 0) return issues.add('INVALID_SCHEMA', path, 'must NOT have fewer than 1 items')
        return value.forEach((inner, i) => visit(inner, [...path, String(i)]))
      case 'map':
        if (typeof value !== 'object' || value === null || Array.isArray(value))
          return issues.add('INVALID_SCHEMA', path, 'must be object')
        for (const [name, inner] of Object.entries(value)) {
          if (keyword === 'patternProperties') checkPattern(name, [...path, name])
          visit(inner, [...path, name])
        }
        return
      case 'value':
        return checkKeyword(keyword, value, path)
      default: {
        const message = keyword.startsWith('$') ? `${keyword.slice(0, 30)} is not supported` : 'there is no such keyword'
        return issues.add('INVALID_SCHEMA', path, message, () => didYouMean(keyword, KEYWORDS))
      }
    }
  }

  function checkKeyword(keyword: string, value: Json, path: string[]): void {
    const run = new Run('')
    if (!checkOf(keyword)(value, run)) {
      for (const { message, path: at } of run.issues) issues.add('INVALID_SCHEMA', [...path, ...at.slice(1)], message)
      return
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

const checks = new Map<string, Check>()

function checkOf(keyword: string): Check {
  let check = checks.get(keyword)
  if (!check) checks.set(keyword, (check = compileSchema(valueSchema(keyword))))
  return check
}
