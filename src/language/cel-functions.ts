/** The functions that expressions may call, each with what a call costs. What is not here cannot be called. */
import { spend, weigh } from './budget.ts'

/** Units for a call with these arguments (a method's receiver is the first); may throw ExpressionFailure to refuse them. */
type Cost = (args: readonly unknown[]) => number

/** An evaluation that failed, with a message that quotes nothing of the data. */
export class ExpressionFailure extends Error {}

const length = (value: unknown): number => (typeof value === 'string' || Array.isArray(value) ? value.length : 0)
const free: Cost = () => 0
const scan: Cost = ([text]) => length(text) / 16
const compare: Cost = ([a, b]) => Math.min(length(a), length(b)) / 64
// V8 compares up to text times pattern characters on periodic texts: 0.5 ns each (measured).
const search: Cost = ([text, pattern]) => length(text) / 16 + (length(text) * length(pattern)) / 200
const size: Cost = ([value]) => (typeof value === 'string' ? value.length / 8 : Array.isArray(value) ? 1 : weigh(value))
// With a time zone the library formats and parses a date: 0.36 ms (measured).
const calendar: Cost = (args) => (args.length > 1 ? 4_000 : 0)
const shortText: Cost = ([text]) => {
  if (length(text) > 64) throw new ExpressionFailure('a duration has at most 64 characters')
  return 10
}

export const FUNCTIONS: ReadonlyMap<string, Cost> = new Map([
  ['has', free],
  ['size', size],
  ['string', free],
  ['int', free],
  ['double', scan],
  ['bool', free],
  ['dyn', free],
  ['type', free],
  ['timestamp', free],
  ['duration', shortText],
])

/** `matches` has no cost here: its pattern is a literal, compiled by RE2, and each call costs what that pattern costs. */
export const METHODS: ReadonlyMap<string, Cost> = new Map([
  ['size', size],
  ['contains', search],
  ['startsWith', compare],
  ['endsWith', compare],
  ['matches', free],
  ['indexOf', search],
  ['lastIndexOf', search],
  ['substring', free],
  ['lowerAscii', scan],
  ['upperAscii', scan],
  ['trim', scan],
  ['split', (args) => length(args[0]) / 4 + search(args)],
  ['join', ([list]) => weigh(list)],
  ...[
    'getDate',
    'getDayOfMonth',
    'getDayOfWeek',
    'getDayOfYear',
    'getFullYear',
    'getHours',
    'getMilliseconds',
    'getMinutes',
    'getMonth',
    'getSeconds',
  ].map((name): [string, Cost] => [name, calendar]),
])

/** Macros that repeat their last arguments for each element of a list. */
export const MACROS: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter'])

/** Pays for a binary operator on these operands. */
export function spendOnOperator(operator: string, left: unknown, right: unknown): void {
  if (typeof left === 'number' || typeof left === 'bigint' || typeof left === 'boolean') {
    if (operator === 'in') spend(length(right) / 8)
    return
  }
  switch (operator) {
    case '+':
      return spend((length(left) + length(right)) / (typeof left === 'string' ? 64 : 4))
    case 'in':
      if (typeof left === 'string') return spend((length(right) * (1 + left.length / 64)) / 8)
      return spend(Array.isArray(right) ? weigh(right) : 1)
    case '==':
    case '!=':
      if (left === right || typeof left !== 'object' || left === null || typeof right !== 'object')
        return spend(compare([left, right]))
      if (Array.isArray(left) && length(left) !== length(right)) return
      return spend(weigh(left))
    default:
      return spend(compare([left, right]))
  }
}
