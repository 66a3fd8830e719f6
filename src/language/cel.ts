/** CEL (https://cel.dev) by cel-js, metered: the library has no budget of its own, so its evaluator is given one here. */
import { Environment, EvaluationError } from '@marcbachmann/cel-js'
import { spend } from './budget.ts'
import { FUNCTIONS, METHODS, spendOnOperator } from './cel-functions.ts'
import { compileRegex } from './regex.ts'

/** What we use of the library's syntax tree; `meta` is where it keeps what a macro was expanded to. */
export interface CelNode {
  op: string
  args: unknown
  start: number
  meta: { alternate?: CelNode; macro?: object }
  handle?: (...args: never[]) => unknown
}

export interface ParsedExpression {
  (scope: object): unknown
  ast: CelNode
  check(): { valid: boolean; type?: string; error?: unknown }
}

/** The library's evaluator: not exported, but it is `this` in every function that we register. */
interface Evaluator {
  run(node: CelNode & { evaluate(ev: Evaluator, node: CelNode, context: unknown): unknown }, context: unknown): unknown
  tryEval(node: CelNode, context: unknown): unknown
  debugType(value: unknown): unknown
  debugTypeDeep(value: unknown): unknown
}

export const MAX_SOURCE_LENGTH = 4_096
/** A failed operand or element that `||`, `all` or `exists` swallows: the library makes an error with a picture of the source. */
const SWALLOWED_ERROR_COST = 200

const number = (value: unknown): number => Number(value)
const remainder = (a: unknown, b: unknown): number => {
  if (number(b) === 0) throw new EvaluationError({ code: 'modulo_by_zero', message: 'modulo by zero' })
  return number(a) % number(b)
}

/** What expressions see in some places only: a place's own names, beside the input, the steps and the execution. */
export type Locals = readonly string[]

const ENVIRONMENTS = new Map<string, Environment>()

/** One for each set of names that a place of the language has. */
function environmentOf(locals: Locals): Environment {
  const key = locals.join()
  let environment = ENVIRONMENTS.get(key)
  if (!environment) ENVIRONMENTS.set(key, (environment = createEnvironment(locals)))
  return environment
}

// JSON has one kind of number, which CEL sees as double, while literals are int: both must work together (`input.x + 1`).
function createEnvironment(locals: Locals): Environment {
  const environment = new Environment({
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 1_000, maxDepth: 50, maxListElements: 500, maxMapEntries: 200, maxCallArguments: 8 },
  })
  for (const name of ['input', 'steps', 'execution']) environment.registerVariable(name, 'map')
  for (const name of locals) environment.registerVariable(name, 'dyn')
  for (const [left, right] of [
    ['int', 'double'],
    ['double', 'int'],
  ]) {
    environment
      .registerOperator(`${left} + ${right}: double`, (a, b) => number(a) + number(b))
      .registerOperator(`${left} - ${right}: double`, (a, b) => number(a) - number(b))
      .registerOperator(`${left} * ${right}: double`, (a, b) => number(a) * number(b))
      .registerOperator(`${left} / ${right}: double`, (a, b) => number(a) / number(b))
      .registerOperator(`${left} % ${right}: double`, remainder)
  }
  environment
    .registerOperator('double % double', remainder)
    .registerOperator('int == double', (a, b) => number(a) === number(b))
    .registerFunction('sluiceMeter(): bool', function (this: Evaluator) {
      installMeter(this)
      return true
    })
    .evaluate('sluiceMeter()')
  return environment
}

function installMeter(evaluator: Evaluator): void {
  evaluator.run = (node, context) => {
    spend(1)
    return node.evaluate(evaluator, node, context)
  }
  // Only CEL's own errors are swallowed, and each is paid for: an exceeded budget ends the evaluation at once.
  evaluator.tryEval = (node, context) => {
    try {
      return evaluator.run(node as Parameters<Evaluator['run']>[0], context)
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error
      spend(SWALLOWED_ERROR_COST)
      return error
    }
  }
  // The deep one names a type after the shape of the data and keeps every name for ever: memory that a caller could fill.
  evaluator.debugTypeDeep = evaluator.debugType
}

/** Parses; throws the library's ParseError. `check` it before `meter`, and `meter` it before it runs. */
export function parseCel(source: string, locals: Locals = []): ParsedExpression {
  return environmentOf(locals).parse(source) as unknown as ParsedExpression
}

/** The nodes directly under one that was not checked yet; `value` is what a literal holds. */
export function children(node: CelNode): CelNode[] {
  const args = node.args as never
  switch (node.op) {
    case 'value':
    case 'id':
    case 'accuValue':
    case 'accuInc':
      return []
    case '.':
    case '.?':
      return [args[0]]
    case '!_':
    case '-_':
    case 'accuPush':
      return [args]
    case 'call':
      return args[1]
    case 'rcall':
      return [args[1], ...(args[2] as CelNode[])]
    case 'map':
      return (args as CelNode[][]).flat()
    case 'comprehension': {
      const { iterable, init, step } = args as { iterable: CelNode; init: CelNode; step: CelNode }
      return [iterable, init, step]
    }
    default:
      return args
  }
}

/** Makes every node of a checked expression pay for the data it touches, and `matches` run on RE2. */
export function meter(root: CelNode): void {
  const seen = new Set<CelNode>()
  const visit = (node: CelNode): void => {
    if (seen.has(node)) return
    seen.add(node)
    if (node.meta.alternate) return visit(node.meta.alternate)
    const handle = node.handle as ((...args: unknown[]) => unknown) | undefined
    if (handle) node.handle = metered(node, handle)
    // `has` looks only at names; `cel.bind` keeps its arguments as they are.
    if (node.meta.macro && node.op === 'call') return
    for (const child of children(node)) visit(child)
  }
  visit(root)
}

function metered(node: CelNode, handle: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
  const args = node.args as never
  switch (node.op) {
    case 'call': {
      const cost = FUNCTIONS.get(args[0])!
      return (values, ...rest) => {
        spend(cost(values as unknown[]))
        return handle(values, ...rest)
      }
    }
    case 'rcall': {
      if (args[0] === 'matches') return matches((args[2] as CelNode[])[0]!.args as string, handle)
      const cost = METHODS.get(args[0])!
      return (values, ...rest) => {
        spend(cost(values as unknown[]))
        return handle(values, ...rest)
      }
    }
    case 'comprehension':
      return (items, ...rest) => {
        if (!Array.isArray(items)) spend(weighKeys(items))
        return handle(items, ...rest)
      }
    case '?:':
    case '.':
    case '!_':
    case '-_':
      return handle
    default: {
      const operator = node.op
      return (left, right, ...rest) => {
        spendOnOperator(operator, left, right)
        return handle(left, right, ...rest)
      }
    }
  }
}

const weighKeys = (map: unknown): number => (typeof map === 'object' && map !== null ? Object.keys(map).length : 0)

/** `text.matches(pattern)`: RE2 in place of the library's JavaScript regular expression, which can run for ever. */
function matches(pattern: string, typeError: (...args: unknown[]) => unknown): (...args: unknown[]) => unknown {
  const compiled = compileRegex(pattern)
  if (!compiled.ok) throw new EvaluationError({ code: 'invalid_regular_expression', message: compiled.message })
  const { regex } = compiled
  return (values, ...rest) => {
    const text = (values as unknown[])[0]
    if (typeof text !== 'string') return typeError(values, ...rest)
    spend(10 + (text.length * regex.size) / 20)
    return regex.test(text)
  }
}
