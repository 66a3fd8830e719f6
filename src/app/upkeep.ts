/** What keeps the database in order while the process runs: retention, the monitor of invariants, secrets under the newest key. */
import { createInvariantMonitor } from '../engine/invariants.ts'
import type { RunningEngine } from '../engine/create-engine.ts'
import { measureInvariants, measureRetention } from '../engine/metrics.ts'
import { createRetention } from '../engine/retention.ts'
import { rekeyAtStart } from '../identity/rekey-secrets.ts'
import type { SecretKeys } from '../identity/secret-keys.ts'
import type { AppAudit } from './audit.ts'
import type { Ground } from './ground.ts'

/** Started, and stopped with the stack. */
export function openUpkeep(
  { config, log, database, registry, bus, upkeep, stack }: Ground,
  { auditKeys, auditHead }: Pick<AppAudit, 'auditKeys' | 'auditHead'>,
  engine: RunningEngine,
  secretKeys: SecretKeys,
): void {
  const retention = createRetention({
    ...{ database, auditKeys, auditHead, log: log.child({ room: 'retention' }) },
    auditArchiveDir: config.retention.auditArchiveDir,
    isMine: upkeep.isMine,
  })
  measureRetention(retention, registry)
  const invariants = createInvariantMonitor({ database, auditKeys, engine, bus, log: log.child({ room: 'invariants' }) })
  measureInvariants(invariants, registry)
  for (const loop of [retention, invariants]) {
    loop.start()
    stack.defer(() => loop.stop())
  }
  const rekeyed = rekeyAtStart(database, secretKeys, log)
  stack.defer(() => rekeyed)
}
