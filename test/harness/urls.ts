/** Where the run's PostgreSQL is, as plain data: it crosses processes. */

export interface TestCluster {
  readonly app: string
  readonly owner: string
  readonly superuser: string
  /** the migrated database that test files clone */
  readonly template: string
}

/** The same server and role, another database. */
export function onDatabase(url: string, database: string): string {
  return url.slice(0, url.lastIndexOf('/') + 1) + database
}
