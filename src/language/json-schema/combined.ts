/** The keywords that say which other schemas a value fits. */
import type { Json } from '../values.ts'
import type { Check, Keyword } from './run.ts'

export const COMBINING_KEYWORDS: Record<string, Keyword> = {
  not: (schema: Json, { compile }) => {
    const check = compile(schema)
    return (value, run) => !run.silently(check, value) || run.fail('INVALID_VALUE', 'must NOT be valid')
  },
  anyOf: (schemas: Json[], { compile }) => {
    const checks = schemas.map(compile)
    return (value, run) => {
      const found = run.found
      let fits = false
      for (const check of checks) {
        if (run.apart(check, value)) fits = true
        // who asks what was looked at needs all that fit
        if (fits && !run.seen) break
      }
      if (!fits) return run.fail('INVALID_VALUE', 'must match a schema in anyOf')
      run.forget(found)
      return true
    }
  },
  oneOf: (schemas: Json[], { compile }) => {
    const checks = schemas.map(compile)
    return (value, run) => {
      const found = run.found
      let fitting = 0
      for (const check of checks) {
        if (run.apart(check, value)) fitting++
        if (fitting > 1) break
      }
      if (fitting !== 1) return run.fail('INVALID_VALUE', 'must match exactly one schema in oneOf')
      run.forget(found)
      return true
    }
  },
  allOf: (schemas: Json[], { compile }) => {
    const checks = schemas.map(compile)
    return (value, run) => run.all(checks, (check) => check(value, run))
  },
  if: (schema: Json, { schema: { then = true, else: otherwise = true }, compile }) => {
    const condition = compile(schema)
    const yes: Check = compile(then)
    const no: Check = compile(otherwise)
    return (value, run) => (run.silently(condition, value) ? yes(value, run) : no(value, run))
  },
}
