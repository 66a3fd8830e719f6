/** Who asks, and with what: the first argument of every use case. */
import type { EntityManager } from '@mikro-orm/postgresql'
import type { Origin } from '../audit/audit-entry.ts'
import type { WriteAudit } from '../audit/audit-writer.ts'
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { SealedHead } from '../audit/sealed-head.ts'
import type { Refusals } from '../audit/refusals.ts'
import type { SecurityWatch } from '../audit/security-watch.ts'
import type { Database } from '../database/database.ts'
import type { Replica } from '../database/replica.ts'
import type { Engine } from '../engine/engine.ts'
import type { Limiter } from '../fleet/limiter.ts'
import type { IdentityServices } from '../identity/identity.ts'
import type { Principal } from '../identity/principal.ts'
import type { AllowList } from '../language/values.ts'
import type { Logger } from '../log.ts'
import type { Scheduler } from '../triggers/scheduler.ts'
import type { PatternIndex } from '../triggers/patterns/pattern-index.ts'
import type { PatternUses } from '../triggers/patterns/pattern-uses.ts'

export interface Call {
  /** undefined = anonymous */
  readonly principal?: Principal
  readonly origin: Origin
  readonly requestId: string
  /** forked for this call alone; reads only, writes go through `services.database.transaction` */
  readonly em: EntityManager
  readonly log: Logger
  readonly signal: AbortSignal
  /** it makes a frame of a feed: what is read was told to the audit log when the feed was opened */
  readonly frame?: true
  readonly services: Services
}

/** Somebody who reads, outside of any request too. */
export type Reader = Pick<Call, 'principal' | 'em' | 'frame' | 'services'>

/** What use cases work with; made once by `app.ts`. */
export interface Services {
  readonly database: Database
  /** what may be a little stale, and is not told apart by who asks, is read there; none = on the primary */
  readonly replica?: Pick<Replica, 'read'> | undefined
  readonly engine: Engine
  readonly scheduler: Pick<Scheduler, 'wake' | 'startWaiting'>
  readonly identity: IdentityServices
  /** what definitions may name, as of now (A1) */
  readonly allow: AllowList
  readonly refusals: Refusals
  readonly security: Pick<SecurityWatch, 'count'>
  readonly auditKeys: AuditKeys
  readonly writeAudit: WriteAudit
  readonly auditHead: SealedHead
  readonly patterns: Pick<PatternIndex, 'candidates'>
  readonly patternUses: Pick<PatternUses, 'note'>
  /** something waits to be started that came through a webhook */
  readonly wakeDeliveries: () => void
  readonly limits: {
    /** executions of one initiator that have not ended (A8) */
    readonly runningPerInitiator: number
    /** flows and versions that one principal may write in a minute (B3) */
    readonly flowWrites: Limiter
    /** what a hybrid pattern may cost that `dispatch` takes when it is BALANCED */
    readonly balancedTokens: number
  }
}
