/**
 * Whether a definition may use the secrets that it names (A1). Asked when it is published; `open-secrets.ts` asks again at each attempt.
 *
 * A flow uses secrets of its owner, and only versions that its owner published do. Whoever else may edit it could otherwise send them
 * to a handler of their choice.
 */
import { knownSecrets } from '../../identity/secrets.ts'
import { problem } from '../../errors.ts'
import type { Issue, Problem } from '../../errors.ts'
import type { Definition } from '../../language/definition.ts'
import type { StepDefinition } from '../../language/steps/step-types.ts'
import { didYouMean } from '../../language/nearest-name.ts'
import type { Call } from '../call.ts'
import { requirePrincipal } from '../permissions.ts'
import { noteRefusal } from '../refuse.ts'

/** `ownerId`: of the flow. Issues SECRET_NOT_YOURS, UNKNOWN_SECRET; none when it names no secrets. */
export async function secretIssues(call: Call, definition: Definition, ownerId: string): Promise<Issue[]> {
  const named = [
    ...Object.entries(definition.steps).flatMap(([name, step]) => secretsOf(step, ['steps', name])),
    ...(definition.triggers ?? []).flatMap((trigger, i) =>
      'secret' in trigger ? [{ name: trigger.secret, path: ['triggers', String(i), 'secret'] }] : [],
    ),
  ]
  if (named.length === 0) return []
  if (requirePrincipal(call).actsAs !== ownerId) {
    await noteRefusal(call, { type: 'secret.useRefused', errorCode: 'SECRET_NOT_YOURS' })
    const message = 'Only the owner of a flow publishes versions that use secrets.'
    return named.map(({ path }) => ({ code: 'SECRET_NOT_YOURS', path, message }))
  }
  const known = await knownSecrets(call.services.database, ownerId)
  return named.flatMap(({ name, path }) => {
    if (known.has(name)) return []
    const hint = didYouMean(name, known)
    return [{ code: 'UNKNOWN_SECRET', path, message: 'You have no secret of this name.', ...(hint && { hint }) }]
  })
}

/** The same as a problem. */
export async function checkSecrets(call: Call, definition: Definition, ownerId: string): Promise<Problem | undefined> {
  const issues = await secretIssues(call, definition, ownerId)
  return issues.length > 0 ? problem('VALIDATION', { path: ['definition'], issues }) : undefined
}

/** With those of the steps inside of it. */
function secretsOf(step: StepDefinition, path: readonly string[]): { name: string; path: string[] }[] {
  const own = 'secrets' in step ? (step.secrets ?? []) : []
  const inside = { compensate: step.compensate, step: 'step' in step ? step.step : undefined }
  return [
    ...own.map((name, i) => ({ name, path: [...path, 'secrets', String(i)] })),
    ...Object.entries(inside).flatMap(([field, inner]) =>
      inner ? secretsOf(inner as unknown as StepDefinition, [...path, field]) : [],
    ),
  ]
}
