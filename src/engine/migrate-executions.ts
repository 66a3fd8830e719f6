/** Moves executions to newer versions of their flows, at points where that is safe; and says beforehand which could move. */
import type { Database } from '../database/database.ts'
import { isProblem, problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { changedSteps } from './changed-steps.ts'
import type { StoredDefinition } from './changed-steps.ts'
import type { Committer } from './commit.ts'
import { obstaclesTo } from './decide/migrate.ts'
import type { Migration } from './decide/migrate.ts'
import type { Engine, MigrationOrder, MigrationVerdict } from './engine.ts'
import { BUSY } from './keyed-orders.ts'
import { loadSnapshots } from './load-snapshots.ts'
import type { Mailboxes } from './mailboxes.ts'
import type { Programs } from './programs.ts'

interface Parts {
  database: Database
  committer: Committer
  programs: Programs
  mailboxes: Mailboxes
}

interface VersionRow {
  id: string
  number: number
  definition: StoredDefinition
  now: number
}

const TEXT = `select v.id, v.number, v.definition, (extract(epoch from clock_timestamp()) * 1000)::float8 as now
  from sluice.flow_versions v where v.id = any($1::uuid[])`

export function createMigrations({ database, committer, programs, mailboxes }: Parts): Pick<Engine, 'planMigration' | 'migrate'> {
  return {
    async planMigration(executionIds, flowVersionId) {
      const snapshots = (await loadSnapshots(database, programs, executionIds)).map(({ snapshot }) => snapshot)
      const ways = await findWays(new Set(snapshots.map((snapshot) => snapshot.flowVersionId)), flowVersionId)
      if (isProblem(ways)) return ways
      return snapshots.map((snapshot) => verdictOf(ways.to(snapshot.flowVersionId), snapshot, ways.now))
    },
    migrate,
  }

  async function migrate({ executionId, flowVersionId, by, audit }: MigrationOrder): Promise<MigrationVerdict | Problem> {
    if (committer.full) return BUSY
    const [row] = await database.query<{ id: string }>('select flow_version_id as id from sluice.executions where id = $1', [
      executionId,
    ])
    if (!row) return problem('NOT_FOUND')
    const ways = await findWays(new Set([row.id]), flowVersionId)
    if (isProblem(ways)) return ways
    const migration = ways.to(row.id)
    const extras = audit ? { audits: audit } : {}
    const posted = await mailboxes.post(executionId, { kind: 'migrate', migration, by }, { extras, urgent: true })
    if (!('snapshot' in posted)) return problem('NOT_FOUND')
    if (posted.result === 'applied') return { executionId, obstacles: [] }
    return verdictOf(migration, posted.snapshot, ways.now)
  }

  /** From each of these versions to that one. */
  async function findWays(
    from: ReadonlySet<string>,
    flowVersionId: string,
  ): Promise<{ now: number; to(from: string): Migration } | Problem> {
    const program = await programs.get(flowVersionId)
    if (isProblem(program)) return program
    const rows = await database.query<VersionRow>(TEXT, [[...from, flowVersionId]])
    const versions = new Map(rows.map((row) => [row.id, row]))
    const target = versions.get(flowVersionId)!
    const ways = new Map<string, Migration>()
    for (const { id, number, definition } of rows) {
      const changed = changedSteps(definition, target.definition)
      ways.set(id, { from: { id, number }, to: { id: target.id, number: target.number, program }, changed })
    }
    return { now: target.now, to: (id) => ways.get(id)! }
  }
}

const verdictOf = (migration: Migration, snapshot: Parameters<typeof obstaclesTo>[1] & { id: string }, now: number) => ({
  executionId: snapshot.id,
  obstacles: obstaclesTo(migration, snapshot, now),
})
