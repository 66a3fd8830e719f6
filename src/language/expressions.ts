/** Expressions: CEL compiled once, evaluated under a budget, with results that are plain JSON. */
import { EvaluationError } from '@marcbachmann/cel-js'
import { spend, startWork, WORK_EXCEEDED } from './budget.ts'
import { ExpressionFailure } from './cel-functions.ts'
import { placesRead } from './cel-places.ts'
import { checkRules, ROOTS, type ExpressionProblem } from './cel-rules.ts'
import { MAX_SOURCE_LENGTH, meter, parseCel, type CelNode, type Locals, type ParsedExpression } from './cel.ts'
import { formatDuration } from './duration.ts'
import { didYouMean } from './nearest-name.ts'
import type { Condition, Json, Scope } from './values.ts'

export interface Expression {
  /** Throws what `failureText` explains. The caller has called `startWork`. */
  run(scope: Scope): Json
  /** true when it only names a place (`input.a.b`): the result is a part of the scope, not a copy */
  isPath: boolean
  /** the steps it names */
  reads: ReadonlySet<string>
  /** the places of the scope that it reads, see `placesRead` */
  places: readonly string[][]
}

type Compiled<T> = { ok: true; value: T } | { ok: false; problems: ExpressionProblem[] }

/** Compiles one expression (without `${{ }}`); every problem that can be found without running it is returned. */
export function compileExpression(source: string, stepNames: ReadonlySet<string>, locals?: Locals): Compiled<Expression> {
  const compiled = compileCel(source, stepNames, locals)
  if (!compiled.ok) return compiled
  const { parsed, reads, places } = compiled.value
  const isPath = isPlace(parsed.ast)
  return {
    ok: true,
    value: { run: (scope) => (isPath ? (parsed(scope) as Json) : toJson(parsed(scope))), isPath, reads, places },
  }
}

/** Compiles a condition: an expression that is true or false. */
export function compileCondition(
  source: string,
  stepNames: ReadonlySet<string>,
  locals?: Locals,
): Compiled<{ condition: Condition } & Omit<Expression, 'run'>> {
  const compiled = compileCel(source, stepNames, locals)
  if (!compiled.ok) return compiled
  const { parsed, type, reads, places } = compiled.value
  if (type !== 'bool' && !type.startsWith('dyn')) {
    return { ok: false, problems: [{ code: 'INVALID_EXPRESSION', message: `a condition is true or false, this is ${type}` }] }
  }
  const evaluate: Condition['evaluate'] = (scope) => {
    startWork()
    try {
      const value = parsed(scope)
      if (typeof value === 'boolean') return { ok: true, value }
      return { ok: false, message: 'a condition must be true or false' }
    } catch (error) {
      return { ok: false, message: failureText(error) }
    }
  }
  return { ok: true, value: { condition: { evaluate }, reads, places, isPath: isPlace(parsed.ast) } }
}

function compileCel(
  source: string,
  stepNames: ReadonlySet<string>,
  locals?: Locals,
): Compiled<{ parsed: ParsedExpression; type: string; reads: ReadonlySet<string>; places: string[][] }> {
  if (source.length > MAX_SOURCE_LENGTH) return invalid(`the expression is longer than ${MAX_SOURCE_LENGTH} characters`)
  if (source.trim() === '') return invalid('the expression is empty')
  try {
    const parsed = parseCel(source, locals)
    const { problems, reads } = checkRules(parsed.ast, stepNames)
    if (problems.length > 0) return { ok: false, problems }
    const checked = parsed.check()
    if (!checked.valid) return invalid(...explain(checked.error))
    const places = placesRead(parsed.ast)
    meter(parsed.ast)
    return { ok: true, value: { parsed, type: checked.type ?? 'dyn', reads, places } }
  } catch (error) {
    return invalid(...explain(error))
  }
}

function invalid(message: string, hint?: string): { ok: false; problems: ExpressionProblem[] } {
  return {
    ok: false,
    problems: [hint === undefined ? { code: 'INVALID_EXPRESSION', message } : { code: 'INVALID_EXPRESSION', message, hint }],
  }
}

/** What the library says about a source, with the column, and a hint where we know what helps. */
function explain(error: unknown): [message: string, hint?: string] {
  if (!(error instanceof Error) || !('summary' in error)) return ['the expression cannot be read (nested too deep?)']
  const { code, summary, range } = error as Error & { code: string; summary: string; range?: { start: number } }
  const message = range ? `${summary} (at character ${range.start + 1})` : summary
  switch (code) {
    case 'unknown_variable': {
      const name = summary.split(': ')[1] ?? ''
      return [message, didYouMean(name, ROOTS) ?? 'expressions see input, steps and execution; texts need quotes']
    }
    case 'incompatible_ternary_branches':
      return [message, 'wrap one branch in dyn(...)']
    case 'no_such_overload':
      return [message, 'convert with string(), int() or double()']
    default:
      return [message]
  }
}

/** Texts that quote neither input nor outputs: they are shown to everybody who may see the execution. */
export function failureText(error: unknown): string {
  if (error === WORK_EXCEEDED || error instanceof ExpressionFailure) return (error as Error).message
  if (!(error instanceof EvaluationError)) return 'the expression could not be evaluated'
  const node = error.node as CelNode | undefined
  switch (error.code) {
    case 'no_such_key':
      // The key of `a[b]` is data, that of `a.b` is part of the source.
      return node?.op === '.' ? `there is no ${error.summary.slice('No such key: '.length)}` : 'there is no such key'
    case 'no_such_overload':
    case 'no_matching_overload':
    case 'division_by_zero':
    case 'modulo_by_zero':
    case 'invalid_condition_type':
    case 'invalid_logical_operand':
    case 'index_out_of_bounds':
    case 'index_out_of_range':
    case 'invalid_timestamp':
    case 'invalid_comprehension_range':
    case 'invalid_list_element_type':
      return error.summary
    default:
      return `the expression could not be evaluated (${error.code.replaceAll('_', ' ')})`
  }
}

/** An `index` and an `iteration` are integers, which JSON writes otherwise. */
const PLACES = new Set<unknown>([...ROOTS, 'item', 'last'])

function isPlace(node: CelNode): boolean {
  if (node.op === 'id') return PLACES.has(node.args)
  return node.op === '.' && isPlace((node.args as [CelNode])[0])
}

/** A CEL value as JSON: integers become numbers, timestamps and durations ISO 8601 texts. Pays for what it visits. */
export function toJson(value: unknown): Json {
  spend(1)
  switch (typeof value) {
    case 'string':
      spend(value.length / 64)
      return value
    case 'boolean':
      return value
    case 'number':
      if (!Number.isFinite(value)) throw new ExpressionFailure(`the result is ${value}, which JSON cannot hold`)
      return value
    case 'bigint': {
      const number = Number(value)
      if (!Number.isSafeInteger(number))
        throw new ExpressionFailure('the result is an integer beyond 2^53, which JSON cannot hold exactly')
      return number
    }
    case 'object':
      return objectToJson(value)
    default:
      throw new ExpressionFailure('the result is not JSON')
  }
}

function objectToJson(value: object | null): Json {
  if (value === null) return null
  if (Array.isArray(value)) return value.map(toJson)
  if (value instanceof Date) return value.toISOString()
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype === Object.prototype || prototype === null) {
    // fromEntries defines fields, so that a key `__proto__` in the data stays a key.
    const fields = Object.entries(value).filter(([, inner]) => inner !== undefined)
    return Object.fromEntries(fields.map(([key, inner]) => [key, toJson(inner)]))
  }
  if ('getMilliseconds' in value) return formatDuration(value.valueOf() as unknown as number)
  throw new ExpressionFailure('the result is a type, which JSON cannot hold')
}
