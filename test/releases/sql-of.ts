/** The SQL of a migration, without applying it. */
import type { MigrationPlan } from '../../src/database/migrate.ts'

export function sqlOf(migration: MigrationPlan['migrations'][number]): string {
  const made = new migration.class(undefined as never, undefined as never)
  void made.up()
  return (made.getQueries() as string[]).join(';\n')
}
