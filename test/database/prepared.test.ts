import { expect, test } from 'vitest'
import { prepared } from '../../src/database/prepared.ts'
import { testDatabase } from '../harness/test-database.ts'

const { database } = await testDatabase({ poolSize: 1 })
const HALF = prepared('select $1::integer / $2::integer as half')

test('a marked text is prepared once for each connection, others are not', async () => {
  expect(await database.query(HALF, [7, 2])).toEqual([{ half: 3 }])
  expect(await database.query(HALF, [9, 3])).toEqual([{ half: 3 }])
  await database.query('select $1::text as other', ['x'])
  const statements = await database.query<{ statement: string }>('select statement from pg_prepared_statements')
  expect(statements).toEqual([{ statement: HALF }])
})

test('an error of a prepared statement is that of its values alone', async () => {
  await expect(database.query(HALF, [1, 0])).rejects.toMatchObject({ code: '22012' })
  expect(await database.query(HALF, [8, 2])).toEqual([{ half: 4 }])
})
