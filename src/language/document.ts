/** The outer bounds of a definition, before its fields matter: size, depth, keys and contents that no definition may have (C3). */
import type { IssueList } from './issue-list.ts'
import { checkPayload } from './payload.ts'

const MAX_DEFINITION_BYTES = 262_144
const MAX_DEFINITION_DEPTH = 50
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Calls and key paths of the languages that text might reach one day. Words are fine ("Review the process."), and so are
 * fields of data (`input.process.name`). Nothing here is ever run as code; this refuses what only an attack would write.
 */
const CODE = [
  /(?<![\w.])(?:eval|__import__)\s*\(/,
  /(?<![\w.])(?:exec|execSync|execFile|spawnSync|require|import)\(/,
  /\bnew\s+Function\b/,
  /(?<![\w.])process\.(?:env|exit|kill|argv|binding|mainModule|dlopen|chdir|abort)\b/,
  /(?<![\w.])(?:globalThis|child_process)\./,
  /__proto__|\bconstructor\s*[.[(]|\[\s*["']constructor["']|\.prototype\b/,
]

/** A plain copy of the value, without what was refused, or undefined when it cannot be a definition at all. */
export function readDocument(value: unknown, issues: IssueList): Record<string, unknown> | undefined {
  const payload = checkPayload(value, MAX_DEFINITION_BYTES)
  if (!payload.ok) {
    issues.add(payload.code === 'TOO_LARGE' ? 'TOO_LARGE' : 'NOT_JSON', [], `the definition: ${payload.message}`)
    return undefined
  }
  const copy: unknown = JSON.parse(payload.text)
  if (typeof copy !== 'object' || copy === null || Array.isArray(copy)) {
    issues.add('INVALID_TYPE', [], 'a definition is a JSON object')
    return undefined
  }
  return checkKeys(copy, [], issues) ? (copy as Record<string, unknown>) : undefined
}

/** Removes forbidden keys after reporting them; false when the value is too deep. */
function checkKeys(value: object, path: string[], issues: IssueList): boolean {
  if (path.length >= MAX_DEFINITION_DEPTH) {
    issues.add('TOO_DEEP', path, `a definition has at most ${MAX_DEFINITION_DEPTH} levels`)
    return false
  }
  for (const [key, inner] of Object.entries(value) as [string, unknown][]) {
    path.push(key)
    if (FORBIDDEN_KEYS.has(key)) {
      issues.add('FORBIDDEN_KEY', path, `${key} cannot be a key`)
      delete (value as Record<string, unknown>)[key]
    } else if (typeof inner === 'string') {
      checkContent(inner, path, issues)
    } else if (typeof inner === 'object' && inner !== null && !checkKeys(inner, path, issues)) {
      return false
    }
    path.pop()
  }
  return true
}

/** Names and descriptions are only ever shown, and the texts of a JSON Schema only compared; the rest is checked. */
function checkContent(text: string, path: readonly string[], issues: IssueList): void {
  if (path[0] === 'input' || path[0] === 'name' || path[0] === 'description') return
  if (CODE.some((pattern) => pattern.test(text)))
    issues.add('FORBIDDEN_CONTENT', path, 'the text looks like code (a call or a path into internals)')
}
