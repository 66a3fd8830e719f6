import { readFile } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { testDatabase } from '../harness/test-database.ts'

const { database, ownerQuery } = await testDatabase()

test.each(['commit', 'claim'])('the function in the database is the text of %s.sql', async (name) => {
  const text = await readFile(new URL(`../../src/engine/${name}.sql`, import.meta.url), 'utf8')
  const [row] = await ownerQuery<{ prosrc: string }>(`select prosrc from pg_proc where oid = $1::regproc`, [
    name === 'commit' ? 'sluice.commit_transitions' : 'sluice.claim_executions',
  ])
  expect(text).toContain(row!.prosrc)
})

test('a worker without a lease claims nothing', async () => {
  expect(
    await database.query('select * from sluice.claim_executions($1, 10, null)', ['01900000-0000-7000-8000-000000000000']),
  ).toEqual([])
})
