/** Finds the flow to start and its newest version. Starts that come at once, of whomever, look together in one statement. */
import { sql } from 'kysely'
import type { Rights } from '../../identity/grantees.ts'
import type { Kysely } from 'kysely'
import type { Database } from '../../database/database.ts'
import { prepared } from '../../database/prepared.ts'
import { together } from '../../database/together.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { askTogether } from '../ask-together.ts'
import type { Call } from '../call.ts'
import { findFlow, nameOf } from './find-flow.ts'
import type { FlowReference } from './find-flow.ts'
import { flowsSeenByEach, levelOf, requirePrincipal } from '../permissions.ts'

export interface FlowToStart {
  id: string
  newestVersionId: string
  /** what the caller may do on it: a number of LEVELS, or 5 */
  level: number
}

interface Question {
  by: FlowReference
  principal: Rights
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

/** For somebody whose id was stored; undefined: there is none, or none that they may see. */
export async function findFlowToStartById(database: Database, id: string, principal: Rights): Promise<FlowToStart | undefined> {
  const [flow] = await lookOn(database)({ by: { id }, principal })
  return flow
}

const LOOKS = new WeakMap<Database, (question: Question) => Promise<Found[]>>()

function lookOn(database: Database): (question: Question) => Promise<Found[]> {
  let look = LOOKS.get(database)
  if (look) return look
  const kysely = database.fork().getKysely<unknown>()
  look = together((questions) => lookForAll(database, kysely, questions))
  LOOKS.set(database, look)
  return look
}

/** Two at most for each: more than one that is not one's own is ambiguous. */
async function lookForAll(database: Database, kysely: Kysely<unknown>, questions: readonly Question[]): Promise<Found[][]> {
  const { questions: asked, asker } = askTogether(
    questions.map(({ principal }) => principal),
    'flow_id uuid, name text, owner text',
    (place) => {
      const { by } = questions[place]!
      return 'id' in by ? { flow_id: by.id } : (nameOf(by.name) ?? {})
    },
  )
  const isVisible = flowsSeenByEach(asker)
  const query = sql<Found>`
    select q.place, f.id, f."newestVersionId", f.owner_id = q.acts_as as "isOwn", f.level
    from ${asked},
    lateral (
      select t.id, t.owner_id, ${levelOf(asker)} as level,
        (select v.id from sluice.flow_versions as v where v.flow_id = t.id and v.number = t.latest_number) as "newestVersionId"
      from (
        select t.* from sluice.flows as t where t.id = q.flow_id and ${isVisible}
        union all
        select t.* from sluice.flows as t where t.name = q.name and ${isVisible}
          and (q.owner is null or t.owner_id = (select u.id from sluice.users as u where u.handle = q.owner))
      ) as t order by t.owner_id = q.acts_as desc, t.id limit 2) as f
    order by q.place, "isOwn" desc`
  const answers: Found[][] = questions.map(() => [])
  const { sql: text, parameters } = query.compile(kysely)
  for (const row of await database.query<Found>(prepared(text), parameters)) answers[row.place]!.push(row)
  return answers
}
