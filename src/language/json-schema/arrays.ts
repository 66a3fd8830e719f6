/** The keywords of lists, in the order in which they are checked. */
import type { Json } from '../values.ts'
import { uniqueItems } from './equality.ts'
import type { Check, Context, Keyword } from './run.ts'

export const LIST_KEYWORDS: Record<string, Keyword> = {
  maxItems: (most: number) => noMoreThan(most),
  minItems: (least: number) => (value, run) =>
    (value as Json[]).length >= least || run.fail('INVALID_VALUE', `must NOT have fewer than ${least} items`),
  prefixItems: (schemas: Json[], { compile }) => {
    const checks = schemas.map(compile)
    return (value, run) => {
      const items = value as Json[]
      run.seen?.markFirst(Math.min(checks.length, items.length))
      return run.all(items.slice(0, checks.length), (item, i) => run.below(checks[i]!, item, i))
    }
  },
  items: (schema: Json, context) => {
    const first = ((context.schema['prefixItems'] as Json[] | undefined) ?? []).length
    const check = first > 0 && schema === false ? noMoreThan(first) : eachFrom(first, context.compile(schema))
    return (value, run) => {
      run.seen?.markAll()
      return check(value, run)
    }
  },
  contains,
  unevaluatedItems: (schema: Json, { compile }) => {
    const check = compile(schema)
    return (value, run) => {
      const seen = run.seen!
      const items = value as Json[]
      const rest = items.flatMap((_, i) => (seen.has(i) ? [] : [i]))
      const fits =
        schema === false
          ? rest.length === 0 || run.fail('INVALID_VALUE', tooMany(seen.first))
          : run.all(rest, (i) => run.below(check, items[i]!, i))
      seen.markAll()
      return fits
    }
  },
  uniqueItems,
}

const tooMany = (most: number): string => `must NOT have more than ${most} items`

const noMoreThan =
  (most: number): Check =>
  (value, run) =>
    (value as Json[]).length <= most || run.fail('INVALID_VALUE', tooMany(most))

const eachFrom =
  (first: number, check: Check): Check =>
  (value, run) => {
    const items = value as Json[]
    return run.all(first === 0 ? items : items.slice(first), (item, i) => run.below(check, item, first + i))
  }

function contains(schema: Json, { schema: { minContains = 1, maxContains }, compile }: Context): Check {
  const least = minContains as number
  const most = maxContains as number | undefined
  const check = compile(schema)
  const wish = most === undefined ? `at least ${least}` : `at least ${least} and no more than ${most}`
  const message = `must contain ${wish} valid item(s)`
  return (value, run) => {
    const found = run.found
    let count = 0
    for (const [i, item] of (value as Json[]).entries()) {
      if (!run.below(check, item, i)) continue
      count++
      run.seen?.mark(i)
      // who asks what was looked at needs all of them
      if (!run.seen && (most === undefined ? count >= least : count > most)) break
    }
    if (count < least || (most !== undefined && count > most)) return run.fail('INVALID_VALUE', message)
    run.forget(found)
    return true
  }
}
