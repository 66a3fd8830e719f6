/** Plans that do not flip: claims and commits on a million ready executions that PostgreSQL knows nothing about. */
import { beforeAll, expect, test } from 'vitest'
import { fillReadyExecutions, initiatorNumber, isNeverAnalysed, readingsOf } from '../../bench/ready-executions.ts'
import type { Query } from '../../bench/ready-executions.ts'
import type { Database } from '../../src/database/database.ts'
import { claimExecutions } from '../../src/engine/claim.ts'
import { createCommitter } from '../../src/engine/commit.ts'
import { decide } from '../../src/engine/decide/decide.ts'
import { encodeTransition } from '../../src/engine/encode.ts'
import { loadSnapshots } from '../../src/engine/load-snapshots.ts'
import { createPrograms } from '../../src/engine/programs.ts'
import { newUuid } from '../../src/ids.ts'
import { createLog } from '../../src/log.ts'
import { storeFlow } from '../harness/engine.ts'
import { testDatabase } from '../harness/test-database.ts'

const EXECUTIONS = 1_000_000
const WANTED = 256
/** A claim writes its rows and their index entries; anything that grows with the table is far beyond. */
const BUFFERS_PER_CLAIMED = 40
/** The fence, the update, its events; a nested loop over the batch alone would be 1,000 for each row. */
const BUFFERS_PER_UPDATE = 60

const { database, ownerQuery } = await testDatabase()
const query: Query = (text, params) => database.query(text, params)
const worker = newUuid()
const steps = { one: { type: 'handler', handler: 'work' } }

beforeAll(async () => {
  const flow = await storeFlow(database, { name: 'crowded', steps })
  await fillReadyExecutions(ownerQuery, { executions: EXECUTIONS, ofTheHuge: EXECUTIONS / 2, initiators: 10_000, ...flow })
  await database.query(`insert into sluice.workers (id, expires_at) values ($1, now() + interval '1 hour')`, [worker])
}, 120_000)

test('a claim among 1,000,000 ready executions reads a bounded number of pages, with no statistics at all', async () => {
  for (let claims = 0; claims < 10; claims++) {
    const text = 'select * from sluice.claim_executions($1, $2, $3)'
    const { buffers } = await readingsOf(query, text, [worker, WANTED, claims % 2 === 0 ? null : initiatorNumber(5_000 + claims)])
    expect(buffers).toBeLessThan(WANTED * BUFFERS_PER_CLAIMED)
  }
  expect(await countHeld()).toBe(10 * WANTED)
  expect(await isNeverAnalysed(ownerQuery)).toBe(true)
})

test('an initiator with one execution is served by the first claim, though another has 500,000 before it', async () => {
  await database.query('update sluice.executions set owner = null where owner = $1', [worker])
  const rows = await claimExecutions(database, worker, WANTED, null)
  const perInitiator = Map.groupBy(rows, (row) => row.initiator_id)
  expect(rows).toHaveLength(WANTED)
  expect(perInitiator.get(initiatorNumber(2))).toHaveLength(1)
  expect(perInitiator.get(initiatorNumber(1))!.length).toBeLessThanOrEqual(WANTED / 4)
})

test('claims that go on where the last one ended come round to every initiator', async () => {
  const served = new Set<string>()
  let last: string | null = null
  let claims = 0
  do {
    const rows = await claimExecutions(database, worker, WANTED, last)
    last = rows.at(-1)!.initiator_id
    for (const row of rows) served.add(row.initiator_id)
  } while (++claims < 40)
  // each initiator with more than enough takes its share, so each claim serves at least three others than the one before
  expect(served.size).toBeGreaterThanOrEqual(3 * claims)
})

test('a commit of 1,000 transitions reads a bounded number of pages for each, with no statistics at all', async () => {
  await ownerQuery(`insert into sluice.execution_inputs select id, '{}' from sluice.executions where owner = $1`, [worker])
  const held = await database.query<{ id: string }>('select id from sluice.executions where owner = $1 limit 1000', [worker])
  const programs = createPrograms(database, { roles: new Set(), handlers: new Set(['work']) })
  const loaded = await loadSnapshots(database, programs, held.map(({ id }) => id)) // prettier-ignore
  const seen: number[] = []
  const committer = createCommitter(explaining(database, seen), createLog('silent'))
  const world = { now: database.clock.now(), worker, adopt: true, keepMs: 1000, fenceMs: 1000 }
  const verdicts = await Promise.all(
    loaded.map(({ snapshot }, mark) => {
      const rows = encodeTransition(decide(snapshot, [{ kind: 'started' }, { kind: 'claimed' }], world), mark)
      return committer.submit({ executionId: snapshot.id, kind: 'update', mark, rows })
    }),
  )
  expect(verdicts).toHaveLength(1000)
  expect(seen).toHaveLength(1)
  expect(seen[0]).toBeLessThan(1000 * BUFFERS_PER_UPDATE)
  const [stored] = await database.query<{ n: number }>('select count(*) as n from sluice.events')
  expect(stored!.n).toBe(2000)
  expect(await isNeverAnalysed(ownerQuery)).toBe(true)
})

async function countHeld(): Promise<number> {
  const [row] = await database.query<{ n: number }>('select count(*) as n from sluice.executions where owner = $1', [worker])
  return row!.n
}

/** The same database; each of the committer's statements runs under `explain`, and what it read is noted. */
function explaining(of: Database, seen: number[]): Database {
  return {
    ...of,
    async query<Row>(text: string, params: readonly unknown[] = []): Promise<Row[]> {
      const { buffers } = await readingsOf(query, text, [...params])
      seen.push(buffers)
      return [{ at: of.clock.now(), refused: null } as Row]
    },
  }
}
