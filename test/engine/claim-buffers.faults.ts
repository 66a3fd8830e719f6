/** Plans that do not flip: claims and commits on a million ready executions that PostgreSQL knows nothing about. */
import { beforeAll, expect, test } from 'vitest'
import {
  fillReadyExecutions,
  forgetStatistics,
  initiatorNumber,
  isNeverAnalysed,
  readingsOf,
  stopAnalysing,
} from '../../bench/ready-executions.ts'
import type { Query } from '../../bench/ready-executions.ts'
import type { Database } from '../../src/database/database.ts'
import { claimExecutions } from '../../src/engine/claim.ts'
import type { ClaimedNext } from '../../src/engine/claim.ts'
import { createCommitter } from '../../src/engine/commit.ts'
import { createMailboxes } from '../../src/engine/mailboxes.ts'
import { loadSnapshots } from '../../src/engine/load-snapshots.ts'
import { createPrograms } from '../../src/engine/programs.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { storeFlow } from '../harness/engine.ts'
import { signAudit } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'

const EXECUTIONS = 1_000_000
const WANTED = 256
/** A claim writes its rows and their index entries, 26 pages each when measured; anything that grows with the table is far beyond. */
const BUFFERS_PER_CLAIMED = 40
/** The fence, the update and its events: 16 to 24 when measured. */
const BUFFERS_PER_UPDATE = 40
/** So few that to PostgreSQL a walk through all of them looks cheaper than looking one up. */
const FEW = 2_000

// One connection: PostgreSQL keeps its plans for each, and the worst one is made while the table is small and used when it is not.
const { database, ownerQuery } = await testDatabase({ poolSize: 1 })
const query: Query = (text, params) => database.query(text, params)
const worker = newUuid()
let whileSmall = 0

beforeAll(async () => {
  const flow = await storeFlow(database, { name: 'crowded', steps: { one: { type: 'handler', handler: 'work' } } })
  await stopAnalysing(ownerQuery)
  await database.query(`insert into sluice.workers (id, expires_at) values ($1, now() + interval '1 hour')`, [worker])
  await fillReadyExecutions(ownerQuery, { executions: FEW, ofTheHuge: FEW / 2, initiators: 20, ...flow })
  await ownerQuery('analyze sluice.executions')
  for (let i = 0; i < 10; i++) whileSmall = await commitStarted(await claim(1))
  await fillReadyExecutions(ownerQuery, { executions: EXECUTIONS, ofTheHuge: EXECUTIONS / 2, initiators: 10_000, ...flow })
}, 180_000)

test('a commit reads a bounded number of pages for each transition, also by plans that were made while the table was small', async () => {
  expect(whileSmall).toBeLessThan(BUFFERS_PER_UPDATE)
  // the fill changed what is known of the table: the next commit reads the catalogue again
  await commitStarted(await claim(1))
  for (const wanted of [1, 1_000]) {
    const buffers = await commitStarted(await claim(wanted))
    expect(buffers).toBeLessThan(wanted * BUFFERS_PER_UPDATE)
  }
})

test('a claim among 1,000,000 ready executions reads a bounded number of pages, with no statistics at all', async () => {
  await forgetStatistics(ownerQuery)
  const text = 'select * from sluice.claim_next($1, $2, $3)'
  for (const after of [null, 2, 5_000, 9_000, null].map((n) => n && initiatorNumber(n))) {
    const { buffers } = await readingsOf(query, text, [worker, WANTED, after])
    expect(buffers).toBeLessThan(WANTED * BUFFERS_PER_CLAIMED)
  }
  expect(await isNeverAnalysed(ownerQuery)).toBe(true)
})

test('a crowd in one pool costs the workers of another nothing; steps of pools are claimed as cheaply', async () => {
  const of = (pool: string) =>
    readingsOf(query, 'select * from sluice.claim_next($1, $2, null, true, $3)', [worker, WANTED, pool])
  await of('empty')
  expect((await of('empty')).buffers).toBeLessThan(60)
  for (const pool of ['default', 'empty']) {
    const look = () => readingsOf(query, 'select * from sluice.find_work($1, $2, true)', [worker, [pool]])
    await look()
    expect((await look()).buffers, `a look at ${pool}`).toBeLessThan(60)
  }
  await ownerQuery('alter table sluice.pooled_steps set (autovacuum_enabled = false)')
  await ownerQuery(`insert into sluice.pooled_steps (execution_id, path, attempt, pool, initiator_id, priority, epoch)
    select uuidv7(), 'a', 1, case when n % 100 = 0 then 'eu' else 'gpu' end,
      ('00000000-0000-4000-8000-' || lpad(to_hex(n % 5000), 12, '0'))::uuid, 0, 0 from generate_series(1, 200000) as n`)
  for (const [pool, wanted] of [
    ['gpu', 8],
    ['eu', 8],
    ['gpu', WANTED],
    ['empty', WANTED],
  ] as const) {
    const { buffers } = await readingsOf(query, 'select * from sluice.claim_steps($1, $2, null, $3)', [worker, wanted, pool])
    expect(buffers, pool).toBeLessThan(wanted * BUFFERS_PER_CLAIMED + 60)
  }
  const [row] = await database.query<{ n: number }>('select count(*)::integer as n from sluice.pooled_steps where owner = $1', [
    worker,
  ])
  expect(row!.n).toBe(8 + 8 + WANTED)
})

test('an initiator with one execution is served by the first claim, though another has 500,000 before it', async () => {
  await database.query('update sluice.executions set owner = null where initiator_id = $1', [initiatorNumber(2)])
  const perInitiator = Map.groupBy(await claim(WANTED), (row) => row.initiator_id)
  expect(perInitiator.has(initiatorNumber(2))).toBe(true)
  expect(perInitiator.get(initiatorNumber(1))!.length).toBeLessThanOrEqual(WANTED / 4)
})

test('claims that go on where the last one ended serve others each time', async () => {
  const served = new Set<string>()
  let last: string | null = null
  for (let claims = 0; claims < 40; claims++) {
    const rows: ClaimedNext[] = await claim(WANTED, last)
    last = rows[0]!.place
    for (const row of rows) served.add(row.initiator_id)
  }
  // a share is a quarter, so a claim goes at least three initiators further
  expect(served.size).toBeGreaterThanOrEqual(3 * 40)
})

const claim = (wanted: number, after: string | null = null): Promise<ClaimedNext[]> =>
  claimExecutions(database, { worker, pool: 'default', wanted, afterInitiator: after })

/** Commits the start of what was claimed, all in one batch, as a worker would; the pages that the commit looked at. */
async function commitStarted(claimed: readonly ClaimedNext[]): Promise<number> {
  const ids = claimed.map(({ id }) => id)
  await ownerQuery(`insert into sluice.execution_inputs select unnest($1::uuid[]), '{}'`, [ids])
  let buffers = 0
  const log = createLog('silent')
  const committer = createCommitter(explaining(database, (more) => void (buffers += more)), log) // prettier-ignore
  const programs = createPrograms(database, { roles: new Set(), handlers: new Set(['work']) })
  const world = { now: database.clock.now(), worker, adopt: true, keepMs: 1000, fenceMs: 1000 }
  const idle = { act: () => {}, reconcile: () => {}, released: () => {}, signAudit }
  const mailboxes = createMailboxes({ database, committer, programs, log, workerId: worker, world: () => world, ...idle })
  for (const loaded of await loadSnapshots(database, programs, ids)) mailboxes.hold(loaded)
  await committer.close()
  const [stored] = await database.query<{ n: number }>('select count(*) as n from sluice.events where execution_id = any($1)', [
    ids,
  ])
  expect(stored!.n).toBe(2 * ids.length)
  return buffers
}

/** The same database; each of the committer's statements runs under `explain`, and what it read is told. */
function explaining(of: Database, tell: (buffers: number) => void): Database {
  return {
    ...of,
    async query<Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
      tell((await readingsOf(query, text, [...params])).buffers)
      return [{ at: of.clock.now(), refused: null } as Row]
    },
  }
}
