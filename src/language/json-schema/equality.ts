/** Which JSON values are the same: `const`, `enum` and `uniqueItems`. 1 and 1.0 are, and objects whatever the order of their fields. */
import { canonicalJson } from '../../canonical-json.ts'
import type { Json } from '../values.ts'
import type { Keyword, Run } from './run.ts'

export const EQUALITY_KEYWORDS: Record<string, Keyword> = {
  const: (wanted: Json) => (value, run) => isSame(wanted, value, run) || run.fail('INVALID_VALUE', 'must be equal to constant'),
  enum: (wanted: Json[]) => {
    const plain = new Set(wanted.filter((one) => !isContainer(one)))
    const containers = wanted.filter(isContainer)
    const message = `must be one of ${JSON.stringify(wanted)}`
    return (value, run) =>
      (isContainer(value) ? containers.some((one) => isSame(one, value, run)) : plain.has(value)) ||
      run.fail('INVALID_VALUE', message)
  },
}

const isContainer = (value: Json): value is Json[] | { [key: string]: Json } => typeof value === 'object' && value !== null

/** Its work is bounded by the schema's side. */
function isSame(wanted: Json, value: Json, run: Run): boolean {
  if (!isContainer(wanted) || !isContainer(value)) return wanted === value
  run.pay(1)
  if (Array.isArray(wanted)) {
    return Array.isArray(value) && wanted.length === value.length && wanted.every((item, i) => isSame(item, value[i]!, run))
  }
  if (Array.isArray(value)) return false
  const keys = Object.keys(wanted)
  if (keys.length !== Object.keys(value).length) return false
  return keys.every((key) => Object.hasOwn(value, key) && isSame(wanted[key]!, value[key]!, run))
}

/** By their canonical texts: comparing every pair of 100,000 objects would be 10^10 comparisons. */
export const uniqueItems: Keyword = (wanted: boolean) => {
  if (!wanted) return undefined
  return (value, run) => {
    const items = value as Json[]
    const seen = new Set<string>()
    for (const item of items) {
      const text = canonicalJson(item)
      run.pay(text.length / 20)
      seen.add(text)
    }
    return seen.size === items.length || run.fail('INVALID_VALUE', 'must not hold the same item twice')
  }
}
