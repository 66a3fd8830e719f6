/** Templates: JSON values whose texts may hold `${{ expression }}`. Data, never code (C9). */
import { spend, startWork } from './budget.ts'
import type { Locals } from './cel.ts'
import { compileExpression, failureText, toJson, type Expression } from './expressions.ts'
import type { IssueList } from './issue-list.ts'
import type { Evaluated, Json, Scope, Template, TemplateRead } from './values.ts'

/** With more than this many expressions, parts of the scope are copied and paid for, so that the result cannot grow without bound. */
const FREE_REFERENCES = 8

/** What compiling needs to know and where it tells what it found. */
export interface TemplateContext {
  stepNames: ReadonlySet<string>
  /** what its expressions see besides the input, the steps and the execution */
  locals?: Locals
  issues: IssueList
  /** called with each step that an expression reads */
  onRead(step: string, path: readonly string[]): void
  /** called with the places that an expression reads; `copies`: the value at the only one goes there as it is */
  onPlaces(places: readonly (readonly string[])[], path: readonly string[], copies: boolean): void
}

type Part = (scope: Scope) => Json
interface Building extends TemplateContext {
  expressions: { count: number }
  /** how many keys of paths lead to the template itself */
  depth: number
  reads: TemplateRead[]
  /** what becomes of a value inside a longer text; may throw a `TemplateFailure` */
  encode(text: string): string
}

/** Which expression of the template failed, and why. */
class TemplateFailure extends Error {}

/**
 * Compiles a template; problems go to `context.issues` with their path. A text that is one whole expression keeps the
 * expression's type (`"${{ 5 }}"` is 5); inside a longer text the value is written as text, or as compact JSON.
 */
export function compileTemplate(
  value: Json,
  path: readonly string[],
  context: TemplateContext,
  encode: Building['encode'] = (text) => text,
): Template {
  const building: Building = { ...context, expressions: { count: 0 }, depth: path.length, reads: [], encode }
  const part = compilePart(value, path, building)
  if (part === undefined) {
    const constant: Evaluated<Json> = { ok: true, value }
    return { evaluate: () => constant }
  }
  return {
    reads: building.reads,
    evaluate(scope) {
      startWork()
      try {
        return { ok: true, value: part(scope) }
      } catch (error) {
        return { ok: false, message: error instanceof TemplateFailure ? error.message : failureText(error) }
      }
    },
  }
}

/**
 * A URL: what expressions put into a longer text stays inside its path segment or its part of the query, whatever it holds. A text
 * that is one whole expression is the URL itself.
 */
export function compileUrl(value: string, path: readonly string[], context: TemplateContext): Template {
  return compileTemplate(value, path, context, (text) => {
    // URLs know no way to write these two so that they do not lead upwards
    if (text === '.' || text === '..') throw new TemplateFailure(`${path.at(-1)}: "${text}" cannot be a part of a URL`)
    return encodeURIComponent(text.toWellFormed())
  })
}

/** One object made of several templates. */
export function compileObject(fields: Readonly<Record<string, Template>>): Template {
  const entries = Object.entries(fields)
  return {
    reads: entries.flatMap(([key, { reads = [] }]) => reads.map((read) => ({ ...read, at: [key, ...read.at] }))),
    evaluate(scope) {
      const made: Record<string, Json> = {}
      for (const [key, template] of entries) {
        const result = template.evaluate(scope)
        if (!result.ok) return result
        made[key] = result.value
      }
      return { ok: true, value: made }
    },
  }
}

/** undefined when there is no expression inside: the value stays what it is. */
function compilePart(value: Json, path: readonly string[], building: Building): Part | undefined {
  if (typeof value === 'string') return value.includes('${{') ? compileText(value, path, building) : undefined
  if (typeof value !== 'object' || value === null) return undefined
  if (Array.isArray(value)) {
    const parts = value.map((inner, i) => compilePart(inner, [...path, String(i)], building))
    if (parts.every((part) => part === undefined)) return undefined
    return (scope) => parts.map((part, i) => (part ? part(scope) : value[i]!))
  }
  const fields = Object.entries(value).map(([key, inner]) => ({ key, inner, part: compilePart(inner, [...path, key], building) }))
  if (fields.every(({ part }) => part === undefined)) return undefined
  return (scope) => {
    const result: Record<string, Json> = {}
    // Keys of definitions were checked: none can reach a prototype.
    for (const { key, inner, part } of fields) result[key] = part ? part(scope) : inner
    return result
  }
}

function compileText(text: string, path: readonly string[], building: Building): Part | undefined {
  const pieces = splitText(text)
  if (pieces === undefined) {
    building.issues.add('INVALID_EXPRESSION', path, '"${{" has no "}}"', 'to write "${{" itself: ${{ "${{" }}')
    return undefined
  }
  const parts = pieces.map((piece) =>
    typeof piece === 'string' ? piece : compileOne(piece.source, path, building, pieces.length === 1),
  )
  const [first] = parts
  if (parts.length === 1 && typeof first === 'function') return first
  return (scope) => {
    let result = ''
    for (const part of parts) result += typeof part === 'string' ? part : building.encode(asText(part(scope)))
    return result
  }
}

function compileOne(source: string, path: readonly string[], building: Building, isWhole: boolean): Part {
  // Nothing more would be told, and nothing with issues is run.
  if (building.issues.full) return () => null
  const compiled = compileExpression(source, building.stepNames, building.locals)
  if (!compiled.ok) {
    for (const { code, message, hint } of compiled.problems) building.issues.add(code, path, message, hint)
    return () => null
  }
  const expression = compiled.value
  const { expressions, depth } = building
  building.onPlaces(expression.places, path, isWhole && expression.isPath)
  for (const place of expression.places)
    building.reads.push({ at: path.slice(depth), place, copies: isWhole && expression.isPath })
  expressions.count++
  for (const step of expression.reads) building.onRead(step, path)
  // Inside a step the reader knows which one it is.
  const place = (path[0] === 'steps' ? path.slice(2) : path).join('.')
  return (scope) => {
    try {
      return runOne(expression, scope, expressions.count > FREE_REFERENCES)
    } catch (error) {
      throw new TemplateFailure(`${place}: ${failureText(error)}`)
    }
  }
}

function runOne(expression: Expression, scope: Scope, copy: boolean): Json {
  spend(20)
  const value = expression.run(scope)
  return copy && expression.isPath ? toJson(value) : value
}

function asText(value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  spend(text.length / 64)
  return text
}

/** "a ${{ b }} c" -> ["a ", { source: " b " }, " c"]; undefined when a `${{` is never closed. */
function splitText(text: string): (string | { source: string })[] | undefined {
  const pieces: (string | { source: string })[] = []
  let at = 0
  for (;;) {
    const open = text.indexOf('${{', at)
    if (open < 0) break
    const close = findClose(text, open + 3)
    if (close === undefined) return undefined
    if (open > at) pieces.push(text.slice(at, open))
    pieces.push({ source: text.slice(open + 3, close) })
    at = close + 2
  }
  if (at < text.length) pieces.push(text.slice(at))
  return pieces
}

/** The place of the `}}` that ends an expression: not one inside a text literal, nor the ends of map literals. */
function findClose(text: string, from: number): number | undefined {
  let braces = 0
  for (let i = from; i < text.length; i++) {
    const char = text[i]
    if (char === '"' || char === "'") {
      const end = endOfLiteral(text, i)
      if (end === undefined) return undefined
      i = end
    } else if (char === '{') braces++
    else if (char === '}') {
      if (braces > 0) braces--
      else if (text[i + 1] === '}') return i
    }
  }
  return undefined
}

/** The place of the last quote of the literal that starts at `start`. */
function endOfLiteral(text: string, start: number): number | undefined {
  const quote = text[start]!
  const long = text.startsWith(quote.repeat(3), start)
  const closing = long ? quote.repeat(3) : quote
  for (let i = start + closing.length; i < text.length; i++) {
    // The lexer skips what follows a backslash in raw literals too.
    if (text[i] === '\\') i++
    else if (text.startsWith(closing, i)) return i + closing.length - 1
  }
  return undefined
}
