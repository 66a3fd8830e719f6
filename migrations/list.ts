/** Every migration in the order it is applied, and the SQL that is applied again whenever its text changes. */
import type { MigrationPlan } from '../src/database/migrate.ts'
import { SCHEMA_LEVEL } from '../src/release.ts'
import { Schema } from './000-schema.ts'
import { Identity } from './001-identity.ts'
import { Audit } from './002-audit.ts'
import { Engine } from './003-engine.ts'
import { People } from './004-people.ts'
import { Principals } from './005-principals.ts'
import { CommitRows } from './008-commit-rows.ts'
import { AuditChain } from './009-audit-chain.ts'
import { Secrets } from './010-secrets.ts'
import { SecurityEvents } from './011-security-events.ts'
import { Retention } from './012-retention.ts'
import { ResourceUse } from './013-resource-use.ts'
import { Children } from './014-children.ts'
import { Waits } from './015-waits.ts'
import { Compensation } from './016-compensation.ts'
import { Slots } from './017-slots.ts'
import { Triggers } from './018-triggers.ts'
import { Schedules } from './019-schedules.ts'
import { Retries } from './020-retries.ts'
import { Feeds } from './021-feeds.ts'
import { Moves } from './023-moves.ts'
import { Cache } from './024-cache.ts'
import { Control } from './025-control.ts'
import { Webhooks } from './026-webhooks.ts'
import { FlowRetention } from './028-flow-retention.ts'
import { ExecutionTraces } from './029-execution-traces.ts'
import { Pools } from './030-pools.ts'
import { PooledSteps } from './031-pooled-steps.ts'
import { Locks } from './032-locks.ts'
import { AgentMessages } from './033-agent-messages.ts'
import { Installation } from './036-installation.ts'
import { Tokens } from './038-tokens.ts'
import { Concerned } from './039-concerned.ts'
import { Upgrade } from './040-upgrade.ts'
import { KeptEvents } from './041-kept-events.ts'

/** `name` is what the database remembers: never change one that was released. */
export const migrations: MigrationPlan['migrations'] = [
  { name: '000-schema', class: Schema },
  { name: '001-identity', class: Identity },
  { name: '002-audit', class: Audit },
  { name: '003-engine', class: Engine },
  { name: '004-people', class: People },
  { name: '005-principals', class: Principals },
  { name: '008-commit-rows', class: CommitRows },
  { name: '009-audit-chain', class: AuditChain },
  { name: '010-secrets', class: Secrets },
  { name: '011-security-events', class: SecurityEvents },
  { name: '012-retention', class: Retention },
  { name: '013-resource-use', class: ResourceUse },
  { name: '014-children', class: Children },
  { name: '015-waits', class: Waits },
  { name: '016-compensation', class: Compensation },
  { name: '017-slots', class: Slots },
  { name: '018-triggers', class: Triggers },
  { name: '019-schedules', class: Schedules },
  { name: '020-retries', class: Retries },
  { name: '021-feeds', class: Feeds },
  { name: '023-moves', class: Moves },
  { name: '024-cache', class: Cache },
  { name: '025-control', class: Control },
  { name: '026-webhooks', class: Webhooks },
  { name: '028-flow-retention', class: FlowRetention },
  { name: '029-execution-traces', class: ExecutionTraces },
  { name: '030-pools', class: Pools },
  { name: '031-pooled-steps', class: PooledSteps },
  { name: '032-locks', class: Locks },
  { name: '033-agent-messages', class: AgentMessages },
  { name: '036-installation', class: Installation },
  { name: '038-tokens', class: Tokens },
  { name: '039-concerned', class: Concerned },
  { name: '040-upgrade', class: Upgrade },
  {
    name: '041-kept-events',
    class: KeptEvents,
    harmless: 'an older process may not remove old security events any more: it logs so, and newer ones remove them',
  },
]

/** `create or replace` only; each lies beside the TypeScript that calls it: `new URL('../src/engine/commit.sql', import.meta.url)`. */
export const repeatables: MigrationPlan['repeatables'] = [
  new URL('../src/engine/commit-waits.sql', import.meta.url),
  new URL('../src/engine/commit-slots.sql', import.meta.url),
  new URL('../src/engine/commit.sql', import.meta.url),
  new URL('../src/engine/claim.sql', import.meta.url),
  new URL('../src/engine/claim-steps.sql', import.meta.url),
  new URL('../src/engine/find-work.sql', import.meta.url),
  new URL('../src/engine/ensure-partitions.sql', import.meta.url),
  new URL('../src/engine/remove-finished.sql', import.meta.url),
  new URL('../src/engine/trim-commit-log.sql', import.meta.url),
  new URL('../src/live/change-log.sql', import.meta.url),
  new URL('../src/audit/remove-audit-prefix.sql', import.meta.url),
  new URL('../src/audit/remove-security-events.sql', import.meta.url),
]

export const plan: MigrationPlan = { migrations, repeatables, schemaLevel: SCHEMA_LEVEL }
