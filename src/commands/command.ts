/** What a command of `sluice` is to whoever runs it, and how it ends. */
import type { Environment } from '../config/config.ts'

/** sysexits.h: wrong usage, wrong configuration, everything else. */
export const EXIT = { ok: 0, usage: 64, config: 78, failure: 1 } as const

export interface CommandModule {
  readonly usage: string
  /** The process's exit code. Throws what `parseArgs` says of wrong flags, ConfigError, and what went wrong. */
  run(args: string[], environment: Environment): Promise<number>
}
