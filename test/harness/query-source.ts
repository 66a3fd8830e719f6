/** A database beside Sluice's own that queries of flows may read, with a role that may select and nothing else. */
import { randomBytes } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, inject } from 'vitest'
import { openQuerySource } from '../../src/database/query-source.ts'
import type { QuerySource } from '../../src/database/query-source.ts'
import { createLog } from '../../src/log.ts'
import { testDatabase } from './test-database.ts'
import { onDatabase } from './urls.ts'

/** `tables`: SQL that makes and fills them. To be called at the top of a test file; what is opened is closed at its end. */
export async function testSource(tables: string) {
  const { ownerQuery, name: database } = await testDatabase({ migrated: false })
  await ownerQuery(tables)
  const role = `reader_${randomBytes(4).toString('hex')}`
  const password = randomBytes(16).toString('hex')
  const superuserUrl = onDatabase(inject('cluster').superuser, database)
  const superuser = new Client({ connectionString: superuserUrl })
  await superuser.connect()
  await superuser.query(`create role ${role} login password '${password}'; grant connect on database ${database} to ${role};
    grant usage on schema public to ${role}; grant select on all tables in schema public to ${role}`)
  const url = superuserUrl.replace(/\/\/[^@]*@/, `//${role}:${password}@`)

  const opened: QuerySource[] = []
  afterAll(async () => {
    for (const source of opened) await source.close()
    await superuser.query(`drop owned by ${role}`)
    await superuser.query(`drop role ${role}`)
    await superuser.end()
  })

  return {
    /** as the role that may read */
    url,
    superuserUrl,
    role,
    /** a statement as the owner of the tables */
    ownerQuery,
    /** what the readers are doing at this moment */
    running: async (): Promise<string[]> =>
      (
        await superuser.query<{ query: string }>(
          `select query from pg_stat_activity where usename = $1 and state = 'active' order by query`,
          [role],
        )
      ).rows.map(({ query }) => query),
    /** ends what the readers are doing, as an operator would */
    terminate: async (): Promise<void> => {
      await superuser.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, [role])
    },
    open({ connection = url, size = 2, log = createLog('silent'), name = 'test' } = {}): QuerySource {
      const source = openQuerySource({ name, connection, size, log })
      opened.push(source)
      return source
    },
  }
}
