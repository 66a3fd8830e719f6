/** A database of a test file's own: a clone of the migrated template, made in milliseconds, dropped at the end of the file. */
import type { Options } from '@mikro-orm/postgresql'
import { randomUUID } from 'node:crypto'
import { Client } from 'pg'
import { afterAll, inject } from 'vitest'
import { openDatabase } from '../../src/database/database.ts'
import type { Database } from '../../src/database/database.ts'
import { createLog } from '../../src/log.ts'
import { onDatabase } from './urls.ts'

export interface TestDatabase {
  /** as the application's role */
  readonly database: Database
  /** a statement as the owner of the tables */
  ownerQuery<Row extends object>(text: string, params?: unknown[]): Promise<Row[]>
  /** the application's URL */
  readonly connection: string
  readonly ownerConnection: string
  /** for processes that a test starts: `spawn(..., { env: { ...process.env, ...env } })` */
  readonly env: { DATABASE_URL: string; DATABASE_OWNER_URL: string }
  readonly name: string
  /** done by itself at the end of the file */
  drop(): Promise<void>
}

export interface TestDatabaseOptions {
  readonly entities?: NonNullable<Options['entities']>
  readonly poolSize?: number
  /** false: an empty database, not migrated */
  readonly migrated?: boolean
}

/** To be called at the top of a test file or in `beforeAll`. When a test of the file fails, the database's name is printed. */
export async function testDatabase(options: TestDatabaseOptions = {}): Promise<TestDatabase> {
  const cluster = inject('cluster')
  const name = `test_${randomUUID().replaceAll('-', '').slice(0, 12)}`
  const server = connectionOf(cluster.superuser)
  await server.connect()
  const template = options.migrated === false ? 'template0' : cluster.template
  // Copying files beats logging each page when nothing is waited for: fsync is off here.
  await server.query(`create database ${name} owner sluice_owner template ${template} strategy file_copy`)
  await server.query(`revoke all on database ${name} from public`)
  await server.query(`grant connect on database ${name} to sluice_app`)

  const connection = onDatabase(cluster.app, name)
  const ownerConnection = onDatabase(cluster.owner, name)
  const log = createLog('warn')
  const database = await openDatabase({ connection, entities: options.entities ?? [], poolSize: options.poolSize ?? 10, log })
  let owner: Client | undefined
  let dropped = false

  async function ownerQuery<Row extends object>(text: string, params?: unknown[]): Promise<Row[]> {
    if (owner === undefined) {
      owner = connectionOf(ownerConnection)
      await owner.connect()
    }
    return (await owner.query<Row>(text, params)).rows
  }

  async function close(): Promise<void> {
    await database.close()
    await owner?.end()
  }

  async function drop(): Promise<void> {
    if (dropped) return
    dropped = true
    await close()
    await server.query(`drop database ${name} with (force)`)
    await server.end()
  }

  afterAll(async ({}, suite) => {
    const kept = process.env['SLUICE_TEST_KEEP'] === '1' && failed(suite)
    if (failed(suite)) console.error(`The database of the failed file: ${name}${kept ? '' : ' (SLUICE_TEST_KEEP=1 keeps it)'}`)
    await (kept ? close().then(() => server.end()) : drop())
  })

  return {
    database,
    ownerQuery,
    connection,
    ownerConnection,
    env: { DATABASE_URL: connection, DATABASE_OWNER_URL: ownerConnection },
    name,
    drop,
  }
}

/** The cluster may end before this process does; whatever a test asks then fails by itself. */
function connectionOf(connectionString: string): Client {
  const client = new Client({ connectionString })
  client.on('error', () => undefined)
  return client
}

interface TaskLike {
  readonly result?: { readonly state?: string }
  readonly tasks?: readonly TaskLike[]
}

function failed(task: TaskLike): boolean {
  return task.result?.state === 'fail' || (task.tasks ?? []).some(failed)
}
