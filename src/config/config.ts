/** The environment -> one frozen, typed Config, or every mistake at once (B13). Nothing else reads the environment. */
import { SETTINGS } from './settings.ts'
import type { Groups, Setting } from './setting.ts'
import type { Config } from './config-types.ts'
import { readSecretFile, SecretFileError } from '../identity/secret-files.ts'
import { didYouMean } from '../language/nearest-name.ts'

export type Environment = Record<string, string | undefined>

/** What the process is to do: some settings are needed for some of it only. */
export type Mode = 'start' | 'serve' | 'work' | 'migrate' | 'schema'

/** Thrown with every mistake found, each naming its variable and what to do, none quoting a secret. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly mistakes: readonly string[]

  constructor(mistakes: readonly string[]) {
    super(
      `The configuration has ${mistakes.length} mistake${mistakes.length === 1 ? '' : 's'}:\n${mistakes.map((m) => `  - ${m}`).join('\n')}`,
    )
    this.mistakes = mistakes
  }
}

/** Reads `env` alone, and the files that its `*_FILE` names point to. Throws ConfigError. */
export function loadConfig(env: Environment, { mode }: { mode: Mode }): Config {
  const mistakes = unknownNames(env)
  const inProduction = env['NODE_ENV'] === 'production'
  const readGroup = (settings: Record<string, Setting<unknown>>): Record<string, unknown> =>
    Object.freeze(
      Object.fromEntries(Object.entries(settings).map(([key, setting]) => [key, read(setting, env, inProduction, mistakes)])),
    )
  const groups = Object.fromEntries(Object.entries(SETTINGS).map(([group, settings]) => [group, readGroup(settings)]))
  mistakes.push(...missing(env, mode, inProduction))
  if (Number(groups['retention']?.['eventDays']) < Number(groups['retention']?.['payloadDays'])) {
    mistakes.push(
      'SLUICE_RETAIN_EVENTS_DAYS must be at least SLUICE_RETAIN_PAYLOADS_DAYS: an execution cannot go before what it holds',
    )
  }
  const flowDays = groups['retention']?.['flowDays'] as { most: number } | undefined
  if (flowDays && flowDays.most > Number(groups['retention']?.['eventDays']))
    mistakes.push('SLUICE_RETAIN_FLOWS_DAYS must be at most SLUICE_RETAIN_EVENTS_DAYS')
  if (mistakes.length > 0) throw new ConfigError(mistakes)
  const { process, ...rest } = groups as unknown as Groups
  return Object.freeze({ ...rest, nodeEnv: process.nodeEnv })
}

const ALL: readonly Setting<unknown>[] = Object.values(SETTINGS).flatMap((group) => Object.values<Setting<unknown>>(group))
const fileName = (name: string): string => `${name}_FILE`
const NAMES = ALL.flatMap(({ name, secret }) => (secret ? [name, fileName(name)] : [name]))

/** A setting's value; undefined when it is unset or wrong, and `mistakes` then has what is wrong. */
function read(setting: Setting<unknown>, env: Environment, inProduction: boolean, mistakes: string[]): unknown {
  const given = setting.secret ? readSecret(setting.name, env, mistakes) : env[setting.name]
  // Compose files pass on an unset name as empty text: only a list that may be empty takes it at its word.
  const text = given || (given === '' && setting.schema.safeParse('').success) ? given : setting.fallback
  if (text === undefined) return undefined
  const parsed = setting.schema.safeParse(text)
  const wrong = parsed.success
    ? (inProduction && setting.inProduction?.(parsed.data)) || []
    : parsed.error.issues.map((issue) => issue.message)
  const shown = setting.secret ? '' : ` (it is ${JSON.stringify(text.slice(0, 200))})`
  mistakes.push(...[...new Set(wrong)].map((what) => `${setting.name} ${what}${shown}`))
  return parsed.data
}

/** From the variable, or from the file named by its `_FILE` twin. */
function readSecret(name: string, env: Environment, mistakes: string[]): string | undefined {
  const path = env[fileName(name)]
  if (!path) return env[name]
  if (env[name]) {
    mistakes.push(`${name} and ${fileName(name)} are both set; unset one of them`)
    return undefined
  }
  try {
    return readSecretFile(path)
  } catch (error) {
    if (!(error instanceof SecretFileError)) throw error
    mistakes.push(`${fileName(name)} names ${JSON.stringify(path)}, which ${error.message}`)
    return undefined
  }
}

/** What is needed for this mode and not set. */
function missing(env: Environment, mode: Mode, inProduction: boolean): string[] {
  const isSet = (name: string): boolean => Boolean(env[name] || env[fileName(name)])
  const mistakes: string[] = []
  const serves = mode === 'start' || mode === 'serve'
  if (inProduction && serves && !isSet('SLUICE_JWT_SECRET')) {
    mistakes.push(
      'SLUICE_JWT_SECRET must be set in production, or SLUICE_JWT_SECRET_FILE: make one with `openssl rand -base64 48`',
    )
  }
  if (inProduction && (serves || mode === 'work') && !isSet('SLUICE_SECRETS_KEY')) {
    mistakes.push(
      'SLUICE_SECRETS_KEY must be set in production, or SLUICE_SECRETS_KEY_FILE: make one with `openssl rand -base64 48`, and keep it',
    )
  }
  if ((mode === 'work' || mode === 'serve') && !isSet('DATABASE_URL')) {
    mistakes.push(
      `DATABASE_URL must be set for ${mode === 'work' ? 'a worker' : 'an API'} alone: the embedded database belongs to one process, which is both (\`start\`)`,
    )
  }
  // one process needs none (E5)
  if ((mode === 'work' || mode === 'serve') && inProduction && !isSet('REDIS_URL')) {
    mistakes.push(
      `REDIS_URL must be set in production, where ${mode === 'work' ? 'a worker' : 'an API'} alone is one of several processes; \`start\` alone needs none`,
    )
  }
  if (mode === 'work' && inProduction && !['SLUICE_AUDIT_KEY', 'SLUICE_SECRETS_KEY', 'SLUICE_JWT_SECRET'].some(isSet)) {
    mistakes.push('SLUICE_AUDIT_KEY must be set in production, to the one of the other processes: workers sign the audit log too')
  }
  if (isSet('DATABASE_OWNER_URL') && !isSet('DATABASE_URL')) mistakes.push('DATABASE_URL must be set when DATABASE_OWNER_URL is')
  if (isSet('DATABASE_DIRECT_URL') && !isSet('DATABASE_URL'))
    mistakes.push('DATABASE_URL must be set when DATABASE_DIRECT_URL is')
  if (isSet('DATABASE_READ_URL') && !isSet('DATABASE_URL')) mistakes.push('DATABASE_URL must be set when DATABASE_READ_URL is')
  if (isSet('SLUICE_ALERT_WEBHOOK_URL') && !isSet('SLUICE_ALERT_WEBHOOK_SECRET')) {
    mistakes.push(
      'SLUICE_ALERT_WEBHOOK_SECRET must be set when SLUICE_ALERT_WEBHOOK_URL is: make one with `openssl rand -base64 48`',
    )
  }
  if (env['SLUICE_DISPATCH'] === 'redis' && !isSet('REDIS_URL'))
    mistakes.push('REDIS_URL must be set when SLUICE_DISPATCH is redis')
  if (env['SLUICE_PERSISTED_ONLY'] === 'true' && !isSet('SLUICE_PERSISTED_OPERATIONS')) {
    mistakes.push('SLUICE_PERSISTED_OPERATIONS must be set when SLUICE_PERSISTED_ONLY is true: nothing could run')
  }
  return mistakes
}

/** A misspelt name would silently leave its default in force. Names of others are not ours to judge. */
function unknownNames(env: Environment): string[] {
  return Object.keys(env)
    .filter((name) => name.startsWith('SLUICE_') && !NAMES.includes(name))
    .map((name) => [`${name} is not a setting`, didYouMean(name, NAMES) ?? 'unset it'].join('; '))
}

const INTRODUCTION = `# Configuration

Settings come from the environment. Each is checked at start, and every mistake is listed at once. Nothing insecure starts in
production (\`NODE_ENV=production\`).

- A secret may come from a file: put \`_FILE\` behind its name (\`SLUICE_JWT_SECRET_FILE=/run/secrets/jwt\`). A file that others can use
  is refused.
- A name that is set to nothing counts as unset, except where an empty list makes sense (\`CORS_ALLOWED_ORIGINS=\` allows none).
- A name that begins with \`SLUICE_\` and is not listed here is a mistake.
`

/** `docs/configuration.md`: every setting, group by group, from the same table. (A list: formatters leave it as it is.) */
export function describeConfig(): string {
  const sections = Object.entries(SETTINGS).map(([group, settings]) => {
    const lines = Object.values(settings).map((setting: Setting<unknown>) => describe(setting))
    return `## ${group}\n\n${lines.join('\n')}\n`
  })
  return [INTRODUCTION, ...sections].join('\n')
}

function describe({ name, secret, fallback, doc }: Setting<unknown>): string {
  const unset = fallback ? `default \`${fallback}\`` : 'unset by default'
  return `- \`${name}\` (${secret ? 'secret, ' : ''}${unset}): ${doc}`
}
