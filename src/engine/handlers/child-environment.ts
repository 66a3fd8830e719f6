/** The environment of handler processes: what every program needs and what the operator names, never Sluice's own secrets. */

const ALWAYS = ['PATH', 'HOME', 'TZ', 'LANG', 'NODE_ENV']
/** What opens Sluice's own stores, or changes how its processes start. */
export const NEVER_HANDED_ON = /^(SLUICE_.*|DATABASE_URL|DATABASE_OWNER_URL|REDIS_URL|NODE_OPTIONS|NODE_CHANNEL_.*)$/

/** `names`: what SLUICE_HANDLER_ENV lists. Unset variables are left out. Throws one error with every name that may not be handed on. */
export function childEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  names: readonly string[] = [],
): Record<string, string> {
  const refused = names.filter((name) => NEVER_HANDED_ON.test(name))
  if (refused.length > 0) throw new Error(`SLUICE_HANDLER_ENV must not name ${refused.join(', ')}`)
  const picked: Record<string, string> = {}
  for (const name of [...ALWAYS, ...names]) {
    const value = environment[name]
    if (value !== undefined) picked[name] = value
  }
  return picked
}
