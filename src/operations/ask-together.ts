/** Many callers' questions in one statement, each with the rights of its own caller. */
import { sql } from 'kysely'
import { granteesOf } from '../identity/grantees.ts'
import type { Rights } from '../identity/grantees.ts'
import type { Asker } from './permissions.ts'
import type { Condition } from './select-rows.ts'

/**
 * `from ${questions} where ...`: a row for each with what `more` holds of it, its
 * `place` in the order, and what `asker` names. As JSON, whose rows the planner takes to be as many as ever: one plan fits all.
 * `columns`: names and types of what `more` holds.
 */
export function askTogether(
  rights: readonly Rights[],
  columns: string,
  more: (place: number) => object,
): { questions: Condition; asker: Asker } {
  const rows = rights.map((one, place) => ({
    ...{ place, acts_as: one.actsAs, is_admin: one.role === 'ADMIN', is_person: one.kind !== 'AGENT', grantees: granteesOf(one) },
    ...more(place),
  }))
  return {
    questions: sql`json_to_recordset(${JSON.stringify(rows)}::json) as
      q(place integer, acts_as uuid, is_admin boolean, is_person boolean, grantees text[], ${sql.raw(columns)})`,
    asker: {
      ...{ isAdmin: sql`q.is_admin`, actsAs: sql`q.acts_as`, isPerson: sql`q.is_person`, grantees: sql`q.grantees` },
    },
  }
}
