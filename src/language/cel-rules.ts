/** What an expression may say beyond being CEL: which names, functions and steps it may use, and how deep macros may nest. */
import { children, type CelNode } from './cel.ts'
import { FUNCTIONS, MACROS, METHODS } from './cel-functions.ts'
import type { IssueCode } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'
import { compileRegex } from './regex.ts'

export interface ExpressionProblem {
  code: IssueCode
  message: string
  hint?: string
}

/** A list in a list is common; three deep is already a billion visits for a thousand elements each. */
const MAX_MACRO_NESTING = 2
/** What an expression sees. */
export const ROOTS: readonly string[] = ['input', 'steps', 'execution']
const STEP_FIELDS = ['status', 'output', 'route', 'error']
const EXECUTION_FIELDS = ['id', 'startedAt', 'error']
const METHOD_NAMES = [...METHODS.keys(), ...MACROS]
const MIN_INT = -(2n ** 63n)
const MAX_INT = 2n ** 63n - 1n

/** Checks a parsed expression; returns its problems and the names of the steps that it reads. */
export function checkRules(root: CelNode, stepNames: ReadonlySet<string>): { problems: ExpressionProblem[]; reads: Set<string> } {
  const problems: ExpressionProblem[] = []
  const reads = new Set<string>()
  const refuse = (code: IssueCode, message: string, hint?: string): void => {
    if (problems.length < 10) problems.push(hint === undefined ? { code, message } : { code, message, hint })
  }

  const visit = (node: CelNode, nesting: number): void => {
    switch (node.op) {
      case 'value':
        return checkLiteral(node.args, refuse)
      case 'id':
        if (node.args === 'steps') refuse('INVALID_EXPRESSION', 'steps is read by name: steps.NAME.output')
        return
      case '.':
      case '[]':
        if (checkPath(node)) return
        break
      case 'call': {
        const name = (node.args as [string])[0]
        if (!FUNCTIONS.has(name))
          refuse('UNKNOWN_FUNCTION', `there is no function ${cut(name)}()`, didYouMean(name, FUNCTIONS.keys()))
        break
      }
      case 'rcall':
        return visitMethod(node, nesting)
    }
    for (const child of children(node)) visit(child, nesting)
  }

  /** True when the node is `steps.NAME`, `steps.NAME.field` or `execution.field`, which it then has checked. */
  const checkPath = (node: CelNode): boolean => {
    const [base, key] = pathStep(node)
    if (key === undefined) return false
    if (isId(base, 'execution')) {
      if (!EXECUTION_FIELDS.includes(key)) {
        refuse(
          'INVALID_EXPRESSION',
          `execution has no ${cut(key)}, only id, startedAt and error`,
          didYouMean(key, EXECUTION_FIELDS),
        )
      }
      return true
    }
    if (isId(base, 'steps')) {
      if (stepNames.has(key)) reads.add(key)
      else refuse('UNKNOWN_STEP', `there is no step ${cut(key)}`, didYouMean(key, stepNames))
      return true
    }
    const [root, step] = base.op === '.' || base.op === '[]' ? pathStep(base) : []
    if (!root || step === undefined || !isId(root, 'steps')) return false
    checkPath(base)
    if (!STEP_FIELDS.includes(key)) {
      const hint = didYouMean(key, STEP_FIELDS) ?? `what the step returns is steps.${cut(step)}.output`
      refuse('INVALID_EXPRESSION', `a step has status, output, route and error, no ${cut(key)}`, hint)
    }
    return true
  }

  const visitMethod = (node: CelNode, nesting: number): void => {
    const [name, receiver, args] = node.args as [string, CelNode, CelNode[]]
    if (name === 'bind' && isId(receiver, 'cel')) {
      checkVariable(args[0], refuse)
      for (const arg of args.slice(1)) visit(arg, nesting)
      return
    }
    visit(receiver, nesting)
    if (MACROS.has(name)) {
      checkVariable(args[0], refuse)
      if (nesting === MAX_MACRO_NESTING)
        refuse('INVALID_EXPRESSION', `${name}() is nested deeper than ${MAX_MACRO_NESTING} levels`)
      for (const arg of args.slice(1)) visit(arg, nesting + 1)
      return
    }
    if (!METHODS.has(name)) refuse('UNKNOWN_FUNCTION', `there is no method ${cut(name)}()`, didYouMean(name, METHOD_NAMES))
    if (name === 'matches') checkPattern(args[0], refuse)
    for (const arg of args) visit(arg, nesting)
  }

  visit(root, 0)
  return { problems, reads }
}

type Refuse = (code: IssueCode, message: string, hint?: string) => void

function checkLiteral(value: unknown, refuse: Refuse): void {
  if (typeof value === 'bigint') {
    if (value > MAX_INT || value < MIN_INT) refuse('INVALID_EXPRESSION', 'the integer does not fit into 64 bits')
  } else if (typeof value === 'object' && value !== null) {
    refuse('INVALID_EXPRESSION', 'bytes and unsigned integers are not supported: JSON has none')
  }
}

function checkVariable(node: CelNode | undefined, refuse: Refuse): void {
  if (node?.op === 'id' && ROOTS.includes(node.args as string)) {
    refuse('INVALID_EXPRESSION', `${node.args as string} cannot be the name of a variable`)
  }
}

function checkPattern(node: CelNode | undefined, refuse: Refuse): void {
  if (!node) return
  if (node.op !== 'value' || typeof node.args !== 'string') {
    return refuse('INVALID_EXPRESSION', 'the pattern of matches() is a literal text, so that it is checked before it runs')
  }
  const compiled = compileRegex(node.args)
  if (!compiled.ok) refuse('INVALID_EXPRESSION', compiled.message, 'patterns are RE2: no look-around, no back references')
}

const isId = (node: CelNode, name: string): boolean => node.op === 'id' && node.args === name

/** `a.b` and `a["b"]` -> [a, "b"]; an index that is computed has no key. */
function pathStep(node: CelNode): [CelNode, string | undefined] {
  const [base, key] = node.args as [CelNode, string | CelNode]
  if (typeof key === 'string') return [base, key]
  return [base, key.op === 'value' && typeof key.args === 'string' ? key.args : undefined]
}

const cut = (name: string): string => name.slice(0, 64)
