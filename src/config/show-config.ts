/** The configuration for people: what is set, group by group, without what is secret. */
import type { Config } from './config-types.ts'
import type { Environment } from './config.ts'
import { SETTINGS } from './settings.ts'
import type { Setting } from './setting.ts'

/** `all`: also what has its default. */
export function showConfig(config: Config, env: Environment, all: boolean): string {
  const values = { ...config, process: { nodeEnv: config.nodeEnv } } as unknown as Record<string, Record<string, unknown>>
  const groups = Object.entries(SETTINGS).flatMap(([group, settings]) => {
    const lines = Object.entries(settings as Record<string, Setting<unknown>>).flatMap(([key, setting]) =>
      show(setting, values[group]?.[key], env, all),
    )
    return lines.length > 0 ? [`${group}\n${lines.join('')}`] : []
  })
  return groups.length > 0 ? groups.join('\n') : 'Nothing is set: all is as docs/configuration.md says.\n'
}

function show({ name, secret, fallback, shown }: Setting<unknown>, value: unknown, env: Environment, all: boolean): string[] {
  const from = [name, `${name}_FILE`].find((one) => env[one])
  if (from === undefined) return all ? [`  ${name} = ${secret ? 'unset' : (fallback ?? 'unset')} (default)\n`] : []
  if (secret) return [`  ${name} ${shown ? `= ${shown(value)}` : 'is set'}${from === name ? '' : ` (${from})`}\n`]
  return [`  ${name} = ${Array.isArray(value) ? value.join(',') : env[from]}\n`]
}
