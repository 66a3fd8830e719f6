/** Checks a definition that somebody sent against the language and the allow-list of now (A1). */
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Definition } from '../../language/definition.ts'
import { loadSqlParserFor } from '../../language/sql/sql-parser.ts'
import { validateDefinition } from '../../language/validate.ts'
import type { Call } from '../call.ts'

/** The definition as it will be stored, or every issue at once; their paths lead into the definition. */
export async function checkDefinition(
  call: Pick<Call, 'services'>,
  definition: unknown,
): Promise<{ ok: true; definition: Definition } | { ok: false; problem: Problem }> {
  await loadSqlParserFor(definition)
  const checked = validateDefinition(definition, call.services.allow)
  if (checked.definition) return { ok: true, definition: checked.definition }
  return { ok: false, problem: problem('VALIDATION', { path: ['definition'], issues: checked.issues }) }
}
