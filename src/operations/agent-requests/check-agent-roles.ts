/** Agent roles are a closed list (A2): a name that is not on it is refused, counted and logged, and never kept. */
import { didYouMean } from '../../language/nearest-name.ts'
import type { Call } from '../call.ts'
import type { ArgumentCheck } from '../check-arguments.ts'
import { noteRefusal } from '../refuse.ts'

/** Adds an issue UNKNOWN_ROLE for each that is not on the list; its path ends with its place, or is `path` when `names` is one name. */
export async function checkAgentRoles(
  call: Call,
  check: ArgumentCheck,
  path: string[],
  names: readonly string[] | string,
): Promise<void> {
  const { roles } = call.services.allow
  const places =
    typeof names === 'string' ? [{ name: names, at: path }] : names.map((name, at) => ({ name, at: [...path, `${at}`] }))
  const unknown = places.filter(({ name }) => !roles.has(name))
  for (const { name, at } of unknown) check.add('UNKNOWN_ROLE', at, 'There is no such agent role.', didYouMean(name, roles))
  // one row a minute for each caller, whatever the names and however many
  if (unknown.length > 0) await noteRefusal(call, { type: 'agentRole.refused', errorCode: 'UNKNOWN_ROLE' })
}
