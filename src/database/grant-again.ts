/** Gives the application's role what the migrations give it, when it is another one than they were applied for. */
import { sqlState } from './database.ts'
import { findRights, ROLE_NOTE } from './lacking-rights.ts'

/** As migrations and repeatables write them: each begins a line, and names `sluice_app`. */
const OF_APP = /^[ \t]*(?:grant|revoke)\b[^;]*\bsluice_app\b[^;]*/gim
/** undefined table, column, function, schema: a later migration has taken it away */
const GONE = new Set(['42P01', '42703', '42883', '3F000'])

type Ask = <Row>(text: string, params?: readonly unknown[]) => Promise<Row[]>

export interface GrantAgain {
  readonly ask: Ask
  /** of all migrations and repeatables, in their order */
  readonly texts: () => Promise<readonly string[]>
  readonly role: string
  /** the same, quoted */
  readonly appRole: string
  nameAppRole(sql: string): string
  /** all of them were applied for this role just now */
  readonly isFresh: boolean
}

/** Whether it had to. Who had these rights before keeps them. */
export async function grantAgain({ ask, texts, role, appRole, nameAppRole, isFresh }: GrantAgain): Promise<boolean> {
  const note = `${ROLE_NOTE}${appRole}`
  const [found] = await ask<{ note: string | null }>(`select obj_description('sluice'::regnamespace, 'pg_namespace') as note`)
  // a copy without privileges has the note all the same
  if (found?.note === note && (await findRights(ask, role))?.lacking === undefined) return false
  const statements = isFresh ? [] : (await texts()).flatMap((text) => text.match(OF_APP) ?? [])
  await ask('begin')
  for (const statement of statements) {
    await ask('savepoint granting')
    await ask(nameAppRole(statement)).catch(async (error: unknown) => {
      if (!GONE.has(sqlState(error) ?? '')) throw error
      await ask('rollback to savepoint granting')
    })
  }
  await ask(`comment on schema sluice is '${note.replaceAll("'", "''")}'`)
  await ask('commit')
  return !isFresh
}
