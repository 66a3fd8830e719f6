/** Moves executions to newer versions of their flows, at points where that is safe; and says beforehand which could move. */
import type { AuditEntry } from '../audit/audit-entry.ts'
import type { Database } from '../database/database.ts'
import { isProblem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import { changedSteps } from './changed-steps.ts'
import type { StoredDefinition } from './changed-steps.ts'
import type { Committer } from './commit.ts'
import { obstaclesTo } from './decide/migrate.ts'
import type { Migration } from './decide/input.ts'
import type { Engine, MigrationVerdict } from './engine.ts'
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

const VERSIONS = `select v.id, v.number, v.definition, (extract(epoch from clock_timestamp()) * 1000)::float8 as now
  from sluice.flow_versions v
  where v.id = $2 or v.id in (select e.flow_version_id from sluice.executions e where e.id = any($1::uuid[]))`
const EXECUTIONS = 'select id, flow_version_id as version from sluice.executions where id = any($1::uuid[])'

/** How executions get to the version, by the version that they run, and by their ids. */
interface Ways {
  /** ms since 1970 */
  now: number
  from(flowVersionId: string): Migration
  of(executionId: string): Migration | undefined
}

export function createMigrations({ database, committer, programs, mailboxes }: Parts): Pick<Engine, 'planMigration' | 'migrate'> {
  return {
    async planMigration(executionIds, flowVersionId) {
      const ways = await findWays(executionIds, flowVersionId)
      if (isProblem(ways)) return ways
      return eachOf(executionIds, async (ids) => {
        const loaded = await loadSnapshots(database, programs, ids)
        return loaded.map(({ snapshot }) => verdictOf(ways.from(snapshot.flowVersionId), snapshot, ways.now))
      })
    },
    async migrate({ executionIds, flowVersionId, by, audit }) {
      if (committer.full) return BUSY
      const ways = await findWays(executionIds, flowVersionId)
      if (isProblem(ways)) return ways
      // together: they become one commit
      return eachOf(executionIds, (ids) =>
        Promise.all(ids.map((id) => move(id, ways, by, audit?.(id)))).then((moved) => moved.flat()),
      )
    },
  }

  /** None when it is not there any more. */
  async function move(executionId: string, ways: Ways, by: string, audits?: readonly AuditEntry[]): Promise<MigrationVerdict[]> {
    const migration = ways.of(executionId)
    if (!migration) return []
    const extras = audits ? { audits } : {}
    const posted = await mailboxes.post(executionId, { kind: 'migrate', migration, by }, { extras, urgent: true })
    if (!('snapshot' in posted)) return []
    return posted.result === 'applied' ? [{ executionId, obstacles: [] }] : [verdictOf(migration, posted.snapshot, ways.now)]
  }

  async function findWays(executionIds: readonly string[], flowVersionId: string): Promise<Ways | Problem> {
    const program = await programs.get(flowVersionId)
    if (isProblem(program)) return program
    const [versions, executions] = await Promise.all([
      database.query<VersionRow>(VERSIONS, [executionIds, flowVersionId]),
      database.query<{ id: string; version: string }>(EXECUTIONS, [executionIds]),
    ])
    const target = versions.find(({ id }) => id === flowVersionId)!
    const ways = new Map<string, Migration>()
    for (const { id, number, definition } of versions) {
      const changed = changedSteps(definition, target.definition)
      ways.set(id, { from: { id, number }, to: { id: target.id, number: target.number, program }, changed })
    }
    const versionOf = new Map(executions.map(({ id, version }) => [id, version]))
    // one that moved meanwhile runs this version
    const from = (id: string): Migration => ways.get(id) ?? ways.get(flowVersionId)!
    const of = (id: string): Migration | undefined => (versionOf.has(id) ? from(versionOf.get(id)!) : undefined)
    return { now: target.now, from, of }
  }
}

/** Each brings its state, of a megabyte at the most. */
const AT_ONCE = 20

async function eachOf<T>(ids: readonly string[], act: (ids: readonly string[]) => Promise<T[]>): Promise<T[]> {
  const found: T[] = []
  for (let at = 0; at < ids.length; at += AT_ONCE) found.push(...(await act(ids.slice(at, at + AT_ONCE))))
  return found
}

const verdictOf = (migration: Migration, snapshot: Parameters<typeof obstaclesTo>[1] & { id: string }, now: number) => ({
  executionId: snapshot.id,
  obstacles: obstaclesTo(migration, snapshot, now),
})
