/** What zod says about a value, in our codes and words, with hints. */
import type { z } from 'zod'
import { FIELD_NAMES } from './definition.ts'
import type { IssueList } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'

/** Adds each of zod's issues, with `path` before its own. */
export function addZodIssues(error: z.ZodError, path: readonly string[], issues: IssueList): void {
  for (const issue of error.issues) addZodIssue(issue, path, issues)
}

function addZodIssue(issue: z.core.$ZodIssue, before: readonly string[], issues: IssueList): void {
  const path = [...before, ...issue.path]
  switch (issue.code) {
    case 'unrecognized_keys':
      for (const key of issue.keys)
        issues.add('UNKNOWN_FIELD', [...path, key], 'there is no such field', () => didYouMean(key, FIELD_NAMES))
      return
    case 'invalid_type': {
      const missing = issue.input === undefined && issue.message.endsWith('received undefined')
      return missing ? issues.add('REQUIRED', path) : issues.add('INVALID_TYPE', path, `must be ${withArticle(issue.expected)}`)
    }
    case 'invalid_value':
      return issues.add('INVALID_VALUE', path, `must be ${issue.values.map(String).join(' or ')}`)
    case 'too_big': {
      const code = issue.origin === 'number' ? 'INVALID_VALUE' : 'TOO_LARGE'
      return issues.add(code, path, `at most ${issue.maximum}${unit(issue.origin)}`)
    }
    case 'too_small':
      return issues.add('INVALID_VALUE', path, `at least ${issue.minimum}${unit(issue.origin)}`)
    default:
      return issues.add('INVALID_VALUE', path, issue.message)
  }
}

function withArticle(type: string): string {
  if (type === 'record') return 'an object'
  return /^[aio]/.test(type) ? `an ${type}` : `a ${type}`
}

function unit(origin: string): string {
  if (origin === 'string') return ' characters'
  return origin === 'array' ? ' items' : ''
}
