/** The audit log of the process: what signs it, what is written, sealed and watched. */
import { join } from 'node:path'
import { Gauge } from 'prom-client'
import type { Registry } from 'prom-client'
import { createAuditKeys } from '../audit/audit-keys.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import { createAuditWriter } from '../audit/audit-writer.ts'
import type { WriteAudit } from '../audit/audit-writer.ts'
import { KeyUses } from '../audit/key-uses.ts'
import { createSealedHead } from '../audit/sealed-head.ts'
import type { SealedHead } from '../audit/sealed-head.ts'
import { createSealer } from '../audit/sealer.ts'
import { createSecurityRoom } from '../audit/security-room.ts'
import type { SecurityRoom } from '../audit/security-room.ts'
import type { Config } from '../config/config-types.ts'
import type { Database } from '../database/database.ts'
import { addressKey } from '../fleet/address-key.ts'
import type { Bus } from '../fleet/bus.ts'
import { developmentSecrets } from '../identity/development-secrets.ts'
import { AUDIT_BELL } from '../live/audit-topic.ts'
import type { Logger } from '../log.ts'

export interface AppAuditOptions {
  config: Config
  database: Database
  registry: Registry
  bus: Bus
  log: Logger
}

export interface AppAudit {
  auditKeys: AuditKeys
  auditHead: SealedHead
  security: SecurityRoom
  writeAudit: WriteAudit
  keyUses: KeyUses
}

/** Started, and stopped with the stack: what was counted is written then, and what was written sealed. */
export function openAudit({ config, database, registry, bus, log }: AppAuditOptions, stack: AsyncDisposableStack): AppAudit {
  const auditKeys = auditKeysOf(config)
  const auditHead = createSealedHead(auditKeys, config.audit.headPath ?? join(config.database.dataDir, 'audit-head'))
  const onSealed = (position: number): void => bus.ring(AUDIT_BELL, String(position))
  const sealer = createSealer({ database, keys: auditKeys, head: auditHead, log, onSealed })
  new Gauge({
    name: 'sluice_audit_unsealed_seconds',
    help: 'How long the oldest row of the audit log that is not sealed has waited, as this process sees it.',
    registers: [registry],
    collect() {
      this.set(sealer.unsealedMs / 1000)
    },
  })
  const watched = { database, keys: auditKeys, limits: config.security, addressOf: addressKey, registry, log }
  const security = createSecurityRoom(watched)
  const writeAudit = createAuditWriter(database)
  const keyUses = new KeyUses({ write: writeAudit, sign: auditKeys.sign, clock: database.clock, log })
  for (const loop of [sealer, security, keyUses]) {
    loop.start()
    stack.defer(() => loop.stop())
  }
  return { auditKeys, auditHead, security, writeAudit, keyUses }
}

/** The first secret that is set signs; the others still verify, so that one may be set later. */
export function auditKeysOf({ audit, database, identity, nodeEnv }: Config): AuditKeys {
  const { jwtSecret } = nodeEnv === 'production' ? identity : developmentSecrets(database.dataDir, identity)
  const { secretsKey, secretsPreviousKeys, jwtPreviousSecrets } = identity
  const older = [...secretsPreviousKeys, ...jwtPreviousSecrets, ...audit.previousKeys]
  const set = [audit.key, secretsKey, jwtSecret, ...older].filter((key) => key !== undefined)
  if (!set[0]) throw new Error('the audit log needs a key: set SLUICE_AUDIT_KEY, or the secret that signed it')
  return createAuditKeys(set[0], set.slice(1))
}
