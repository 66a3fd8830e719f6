/**
 * Which programs can use a database. A schema has a level and serves programs from a least level on, which the database itself says: so an
 * older program knows about a schema that was made long after it. Each process tells its level in the name of its connections.
 */
export interface SchemaLevel {
  readonly level: number
  /** programs below it cannot use the schema */
  readonly least: number
}

/** What the database says. */
export interface StoredLevel extends SchemaLevel {
  /** that brought it there */
  readonly release: string
}

/** One statement by whatever connection there is. */
type Ask = <Row>(text: string, params?: readonly unknown[]) => Promise<Row[]>

/** Of the connections of a process; `sluice bus` and others say no level. */
export const connectionName = ({ level }: SchemaLevel): string => `sluice/${level}`

/** Undefined: it is older than levels are. */
export async function readSchemaLevel(ask: Ask): Promise<StoredLevel | undefined> {
  const [there] = await ask<{ there: boolean }>(`select to_regclass('sluice.schema_level') is not null as there`)
  if (!there?.there) return undefined
  const [stored] = await ask<StoredLevel>('select level, least, release from sluice.schema_level')
  return stored
}

export async function storeSchemaLevel(ask: Ask, { level, least }: SchemaLevel, release: string): Promise<void> {
  await ask(
    `insert into sluice.schema_level as s (level, least, release) values ($1, $2, $3)
     on conflict (singleton) do update set level = excluded.level, least = excluded.least, release = excluded.release, at = now()
     where (s.level, s.least, s.release) is distinct from (excluded.level, excluded.least, excluded.release)`,
    [level, least, release],
  )
}

/** Why a program of this level cannot use the database, and what to do. */
export function tooOld(own: SchemaLevel, stored: StoredLevel | undefined): string | undefined {
  if (!stored || own.level >= stored.least) return undefined
  return (
    `a newer release: ${stored.release} has brought the database to level ${stored.level}, which serves programs from level ` +
    `${stored.least} on, and this one has ${own.level}. Start ${stored.release}, or restore a backup from before`
  )
}

/** What to wait for while processes run that a schema would not serve any more. */
export async function findOlder(ask: Ask, least: number): Promise<string | undefined> {
  const older = await ask<{ level: number }>(
    `select distinct level from pg_stat_activity
     cross join lateral (select substring(application_name from '^sluice/([0-9]{1,4})$')::int as level) as told
     where datname = current_database() and level < $1 order by 1`,
    [least],
  )
  if (older.length === 0) return undefined
  const levels = older.map(({ level }) => level).join(', ')
  return (
    `the end of older processes: some of level ${levels} use the database, and this migration serves programs from level ${least} on. ` +
    `End them, or begin with a release in between`
  )
}
