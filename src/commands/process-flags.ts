/** The flags of `sluice start`, `serve` and `work`: each stands for a setting, and wins over the environment. */
import { parseArgs } from 'node:util'
import type { Environment } from '../config/config.ts'
import type { Setting } from '../config/setting.ts'
import { SETTINGS } from '../config/settings.ts'

export type ProcessMode = 'start' | 'serve' | 'work'

interface Flag {
  setting: Setting<unknown>
  value: string
  of: readonly ProcessMode[]
}

const FLAGS: Readonly<Record<string, Flag>> = {
  port: { setting: SETTINGS.server.port, value: 'N', of: ['start', 'serve'] },
  'metrics-port': { setting: SETTINGS.server.metricsPort, value: 'N', of: ['start', 'serve', 'work'] },
  concurrency: { setting: SETTINGS.engine.maxHeld, value: 'N', of: ['start', 'work'] },
  pools: { setting: SETTINGS.engine.pools, value: 'A,B', of: ['start', 'work'] },
}

const flagsOf = (mode: ProcessMode): [string, Flag][] => Object.entries(FLAGS).filter(([, { of }]) => of.includes(mode))

/** The environment with what the flags say. Throws what `parseArgs` says of others. */
export function applyFlags(mode: ProcessMode, args: string[], environment: Environment): Environment {
  const flags = flagsOf(mode)
  const options = Object.fromEntries(flags.map(([flag]) => [flag, { type: 'string' as const }]))
  const { values } = parseArgs({ args, options })
  const given = flags.filter(([flag]) => values[flag] !== undefined)
  return { ...environment, ...Object.fromEntries(given.map(([flag, { setting }]) => [setting.name, String(values[flag])])) }
}

/** A line for each flag. */
export function describeFlags(mode: ProcessMode): string {
  return flagsOf(mode)
    .map(([flag, { setting, value }]) => `  ${`--${flag} ${value}`.padEnd(16)}  ${setting.name}: ${setting.doc}\n`)
    .join('')
}
