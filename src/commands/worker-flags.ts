/** The flags of `sluice work` and `sluice start`, as the settings that they stand for: a flag wins over the environment. */
import { parseArgs } from 'node:util'
import { SETTINGS } from '../config/settings.ts'
import type { Setting } from '../config/setting.ts'

export const WORKER_USAGE = `usage: sluice work|start [--concurrency <n>] [--pools <pool,pool>]

  --concurrency   executions and steps of pools that this worker has at a time (SLUICE_MAX_HELD)
  --pools         the pools that it serves; "default" is one (SLUICE_POOLS)
`

const { maxHeld, pools } = SETTINGS.engine
const FLAGS: { readonly [flag: string]: Setting<unknown> } = { concurrency: maxHeld, pools }

/** Variables of the environment; or what is wrong with the flags, a sentence each. */
export function readWorkerFlags(args: readonly string[]): { variables: Record<string, string> } | { mistakes: string[] } {
  let values: Record<string, string | undefined>
  try {
    values = parseArgs({ args: [...args], options: { concurrency: { type: 'string' }, pools: { type: 'string' } } }).values
  } catch (error) {
    return { mistakes: [(error as Error).message] }
  }
  const given = Object.entries(values).map(([flag, text = '']) => ({ flag, text, setting: FLAGS[flag]! }))
  const mistakes = given.flatMap(({ flag, text, setting }) => {
    const parsed = setting.schema.safeParse(text)
    return parsed.success ? [] : parsed.error.issues.map(({ message }) => `--${flag} ${message}`)
  })
  if (mistakes.length > 0) return { mistakes: [...new Set(mistakes)] }
  return { variables: Object.fromEntries(given.map(({ setting, text }) => [setting.name, text])) }
}
