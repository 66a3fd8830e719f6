/** The commands that work on the database and then end, by their names. */
import type { Config } from '../config/config-types.ts'
import type { Logger } from '../log.ts'
import { AUDIT_USAGE, runAuditCommand } from './audit.ts'
import { BACKUP_USAGE, runBackupCommand } from './backup.ts'
import { RESTORE_USAGE, runRestoreCommand, runRestoredCommand } from './restore.ts'

interface DatabaseCommand {
  readonly usage: string
  /** the process's exit code */
  run(args: readonly string[], config: Config, log: Logger): Promise<number>
}

export const DATABASE_COMMANDS = {
  audit: { usage: AUDIT_USAGE, run: runAuditCommand },
  backup: { usage: BACKUP_USAGE, run: runBackupCommand },
  restore: { usage: RESTORE_USAGE, run: runRestoreCommand },
  restored: { usage: RESTORE_USAGE, run: runRestoredCommand },
} satisfies Record<string, DatabaseCommand>
