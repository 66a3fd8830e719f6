/** Finds the flow to start and its newest version. Starts that come at once, of whomever, look together in one statement. */
import { sql } from 'kysely'
import type { Database } from '../database/database.ts'
import { prepared } from '../database/prepared.ts'
import { together } from '../database/together.ts'
import { isProblem, problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import type { Principal } from '../identity/principal.ts'
import type { Call } from './call.ts'
import { findFlow, nameOf } from './find-flow.ts'
import type { FlowReference } from './find-flow.ts'
import { askers, flowsSeenByEach, levelOf, requirePrincipal } from './permissions.ts'

export interface FlowToStart {
  id: string
  newestVersionId: string
  /** what the caller may do on it: a number of LEVELS, or 5 */
  level: number
}

interface Question {
  by: FlowReference
  principal: Principal
}

interface Found extends FlowToStart {
  place: number
  isOwn: boolean
}

/** Problems: NOT_FOUND, AMBIGUOUS with the candidates that the caller can see. */
export async function findFlowToStart(call: Call, by: FlowReference): Promise<FlowToStart | Problem> {
  const principal = requirePrincipal(call)
  const [first, second] = await lookOn(call.services.database)({ by, principal })
  if (!first) return problem('NOT_FOUND')
  if (!second || first.isOwn) return first
  const flow = await findFlow(call, by)
  return isProblem(flow) ? flow : findFlowToStart(call, { id: flow.id })
}

const LOOKS = new WeakMap<Database, (question: Question) => Promise<Found[]>>()

function lookOn(database: Database): (question: Question) => Promise<Found[]> {
  let look = LOOKS.get(database)
  if (!look) LOOKS.set(database, (look = together((questions) => lookForAll(database, questions))))
  return look
}

/** Two at most for each: more than one that is not one's own is ambiguous. */
async function lookForAll(database: Database, questions: readonly Question[]): Promise<Found[][]> {
  const names = questions.map(({ by }) => ('name' in by ? nameOf(by.name) : undefined))
  const columns = [
    sql`${questions.map(({ by }) => ('id' in by ? by.id : null))}::uuid[]`,
    sql`${names.map((name) => name?.name ?? null)}::text[]`,
    sql`${names.map((name) => name?.owner ?? null)}::text[]`,
  ]
  const { columns: whoAsks, names: asNames, asker } = askers(questions.map(({ principal }) => principal))
  const isVisible = flowsSeenByEach(asker)
  const query = sql<Found>`
    select q.place::integer as place, f.id, v.id as "newestVersionId", f.owner_id = q.acts_as as "isOwn", f.level
    from unnest(${sql.join(columns)}, ${whoAsks}) with ordinality as q(flow_id, name, owner, ${asNames}, place),
    lateral (select *, ${levelOf(asker)} as level from (
      select t.* from sluice.flows as t where t.id = q.flow_id and ${isVisible}
      union all
      select t.* from sluice.flows as t where t.name = q.name and ${isVisible}
        and (q.owner is null or t.owner_id = (select u.id from sluice.users as u where u.handle = q.owner))
    ) as t order by owner_id = q.acts_as desc, id limit 2) as f
    join sluice.flow_versions as v on v.flow_id = f.id and v.number = f.latest_number
    order by q.place, "isOwn" desc`
  const answers: Found[][] = questions.map(() => [])
  const { sql: text, parameters } = query.compile(database.orm.em.fork().getKysely<unknown>())
  for (const row of await database.query<Found>(prepared(text), parameters)) answers[row.place - 1]!.push(row)
  return answers
}
