/** The keywords of numbers and of texts. Their values have been checked. */
import type { Regex } from '../regex.ts'
import { compileRegex } from '../regex.ts'
import { FORMATS } from './formats.ts'
import type { Check, Keyword, Run } from './run.ts'

const limit =
  (sign: string, fits: (value: number, limit: number) => boolean): Keyword =>
  (limit: number) =>
  (value, run) =>
    fits(value as number, limit) || run.fail('INVALID_VALUE', `must be ${sign} ${limit}`)

export const NUMBER_KEYWORDS: Record<string, Keyword> = {
  maximum: limit('<=', (value, most) => value <= most),
  minimum: limit('>=', (value, least) => value >= least),
  exclusiveMaximum: limit('<', (value, most) => value < most),
  exclusiveMinimum: limit('>', (value, least) => value > least),
  multipleOf: (of: number) => (value, run) =>
    isMultiple(value as number, of) || run.fail('INVALID_VALUE', `must be multiple of ${of}`),
  // those that there are fit every number
  format: () => undefined,
}

/** 4.35 is a multiple of 0.01, though 4.35 / 0.01 is 434.99999999999994: the last bits are the division's own. */
function isMultiple(value: number, of: number): boolean {
  if (Number.isInteger(value) && Number.isInteger(of)) return value % of === 0
  const times = value / of
  return Number.isFinite(times) && Math.abs(times - Math.round(times)) <= 4 * Number.EPSILON * Math.abs(times)
}

export const TEXT_KEYWORDS: Record<string, Keyword> = {
  maxLength: (most: number) => (value, run) =>
    lengthOf(value as string) <= most || run.fail('INVALID_VALUE', `must NOT have more than ${most} characters`),
  minLength: (least: number) => (value, run) =>
    lengthOf(value as string) >= least || run.fail('INVALID_VALUE', `must NOT have fewer than ${least} characters`),
  pattern: (pattern: string) => {
    const matches = compilePattern(pattern)
    return (value, run) => matches(value as string, run) || run.fail('INVALID_VALUE', `must match pattern "${pattern}"`)
  },
  format: (name: string): Check => {
    const check = FORMATS.get(name)!
    return (value, run) => check(value as string) || run.fail('INVALID_VALUE', `must match format "${name}"`)
  },
}

/** Characters, not UTF-16 units. */
function lengthOf(text: string): number {
  let length = 0
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit >= 0xd800 && unit <= 0xdbff && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) i++
    length++
  }
  return length
}

/** RE2, paid for in its steps. */
export function compilePattern(pattern: string): (text: string, run: Run) => boolean {
  const compiled = compileRegex(pattern)
  if (!compiled.ok) throw new Error(compiled.message)
  const regex: Regex = compiled.regex
  return (text, run) => {
    run.pay(4 + (text.length * regex.size) / 10)
    return regex.test(text)
  }
}
