/** A key that a definition makes of the input: starts with the same key share a limit. */
import type { IssueList } from '../issue-list.ts'
import { compileTemplate, type TemplateContext } from '../template.ts'
import type { Evaluated, JsonObject, Template } from '../values.ts'

/** What starts share. Deterministic: the same input has the same key. */
export interface StartKey {
  /** of a list or an object compact JSON; at most `MAX_KEY_CHARS` characters */
  of(input: JsonObject): Evaluated<string>
  readonly template: Template
}

export const MAX_KEY_CHARS = 200

/** It sees the input alone: it is made before the execution begins. */
export function compileKey(value: string, path: readonly string[], { issues }: { issues: IssueList }): StartKey {
  const onPlaces: TemplateContext['onPlaces'] = (places) => {
    if (places.some(([root]) => root !== 'input')) issues.add('INVALID_EXPRESSION', path, 'it sees only the input')
  }
  const template = compileTemplate(value, path, { stepNames: new Set(), issues, onRead: () => undefined, onPlaces })
  return { template, of: (input) => keyOf(template, input, path) }
}

function keyOf(template: Template, input: JsonObject, path: readonly string[]): Evaluated<string> {
  const made = template.evaluate({ input, steps: {}, execution: { id: '', startedAt: '' } })
  if (!made.ok) return made
  const text = typeof made.value === 'string' ? made.value : JSON.stringify(made.value)
  if (text.length > MAX_KEY_CHARS)
    return { ok: false, message: `${path.join('.')}: it has ${text.length} characters; the limit is ${MAX_KEY_CHARS}` }
  // PostgreSQL stores neither NUL nor half of a pair
  if (text.includes('\0') || !text.isWellFormed()) return { ok: false, message: `${path.join('.')}: it is no text` }
  return { ok: true, value: text }
}
