/** The outer bounds of a definition, before its fields matter: size, depth, keys and contents that no definition may have (C3). */
import { findCode } from './code-like.ts'
import type { IssueList } from './issue-list.ts'
import { checkPayload } from './payload.ts'

const MAX_DEFINITION_BYTES = 262_144
const MAX_DEFINITION_DEPTH = 50
const FORBIDDEN_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

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
    if (FORBIDDEN_KEYS.has(key.normalize('NFKC').replaceAll(/\p{Cf}/gu, ''))) {
      issues.add('FORBIDDEN_KEY', path, `${key} cannot be a key`)
      delete (value as Record<string, unknown>)[key]
    } else {
      checkContent(key, path, issues)
      if (typeof inner === 'string') checkContent(inner, path, issues)
      if (typeof inner === 'object' && inner !== null && !checkKeys(inner, path, issues)) return false
    }
    path.pop()
  }
  return true
}

/** Every text is checked, also those that are only shown: nobody knows who will read them one day. */
function checkContent(text: string, path: readonly string[], issues: IssueList): void {
  const found = findCode(text)
  if (found === undefined) return
  const hint = /^[$#{]\{/.test(found) ? 'expressions are written ${{ }}' : undefined
  issues.add('FORBIDDEN_CONTENT', path, `the text looks like code: ${found}`, hint)
}
