/** Once a run: one embedded PostgreSQL in a directory of its own, and a migrated template that each test file clones. */
import { join } from 'node:path'
import { Client } from 'pg'
import type { TestProject } from 'vitest/node'
import { plan } from '../../migrations/list.ts'
import { startEmbedded } from '../../src/database/embedded.ts'
import { migrateDatabase } from '../../src/database/migrate.ts'
import { createLog } from '../../src/log.ts'
import { tellOfMissingServers } from './has-redis.ts'
import { makeRunDirectory } from './run-directory.ts'
import { onDatabase } from './urls.ts'
import type { TestCluster } from './urls.ts'

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  tellOfMissingServers()
  const run = await makeRunDirectory()
  const dataDir = join(run.path, 'cluster')
  const log = createLog('warn')
  // Not waiting for the disk is safe against everything that tests kill: processes, never the machine.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: '200' }
  const server = await startEmbedded({ dataDir, log, settings })
  const urls: TestCluster = {
    app: server.appUrl,
    owner: server.ownerUrl,
    superuser: server.superuserUrl,
    template: 'sluice_template',
  }

  await asSuperuser(urls, `create database ${urls.template} owner sluice_owner`)
  await migrateDatabase({
    connection: onDatabase(urls.owner, urls.template),
    appRole: 'sluice_app',
    ...plan,
    release: 'test',
    log,
  })
  await asSuperuser(urls, `alter database ${urls.template} with is_template true allow_connections false`)
  project.provide('cluster', urls)

  return async () => {
    if (process.env['SLUICE_TEST_KEEP'] === '1') {
      console.log(`The test databases are kept: postmaster ${server.pid}, data ${dataDir}, ${server.superuserUrl}`)
      return run.keep()
    }
    await server.stop().finally(run.end)
  }
}

async function asSuperuser(urls: TestCluster, statement: string): Promise<void> {
  const client = new Client({ connectionString: urls.superuser })
  await client.connect()
  await client.query(statement)
  await client.end()
}

declare module 'vitest' {
  interface ProvidedContext {
    cluster: TestCluster
  }
}
