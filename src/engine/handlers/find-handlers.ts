/** Finds the handlers among the exports of a loaded module, and says what is wrong with those that are not quite. */
import type { FoundHandler } from './child-messages.ts'
import type { Handler } from './define-handler.ts'

const NAME = /^[A-Za-z0-9_]{1,64}$/
const FIELDS = new Set(['name', 'inline', 'run'])

/** An export is taken for a handler when it is an object with `run`; other exports are the module's own business. */
export function findHandlers(module: Record<string, unknown>): { handlers: FoundHandler[]; problems: string[] } {
  const seen = new Set<unknown>()
  const handlers: FoundHandler[] = []
  const problems: string[] = []
  for (const [exportName, value] of Object.entries(module)) {
    // CommonJS shows one object under several names, and so does `export default echo` beside `export const echo`
    if (typeof value !== 'object' || value === null || !('run' in value) || seen.has(value)) continue
    seen.add(value)
    const wrong = problemsOf(value)
    if (wrong.length > 0) problems.push(...wrong.map((problem) => `export "${exportName}": ${problem}`))
    else handlers.push({ name: (value as Handler).name, inline: (value as Handler).inline === true, exportName })
  }
  if (seen.size === 0) problems.push('exports no handler; put shared code into a subdirectory')
  return { handlers, problems }
}

function problemsOf(value: object): string[] {
  const { name, inline, run } = value as Record<string, unknown>
  const problems: string[] = []
  if (typeof name !== 'string' || !NAME.test(name)) problems.push(`name must be 1-64 of A-Z a-z 0-9 _, not ${shown(name)}`)
  if (typeof run !== 'function') problems.push('run must be a function')
  if (inline !== undefined && typeof inline !== 'boolean') problems.push('inline must be true or false')
  for (const field of Object.keys(value)) if (!FIELDS.has(field)) problems.push(`unknown field ${shown(field)}`)
  return problems
}

function shown(value: unknown): string {
  if (typeof value === 'object' && value !== null) return 'an object'
  return typeof value === 'string' ? JSON.stringify(value.slice(0, 100)) : String(value).slice(0, 100)
}
