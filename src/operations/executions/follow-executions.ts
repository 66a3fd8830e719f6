/** What a feed of executions shows: the newest that somebody may see, and what has become of those that changed. */
import { sql } from 'kysely'
import { together } from '../../database/together.ts'
import { Execution } from '../../engine/entities/execution.ts'
import { rightsOf } from '../../identity/grantees.ts'
import { isAllowed } from '../../identity/principal.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Reader, Services } from '../call.ts'
import { readWanted } from './list-executions.ts'
import type { WantedExecutions } from './list-executions.ts'
import { maskExecutions } from './mask-rows.ts'
import { askTogether } from '../ask-together.ts'
import { executionsSeenByEach } from '../permissions.ts'
import { selectRows } from '../select-rows.ts'

/** Of a snapshot, and of one frame. */
export const MOST_FOLLOWED = 100
/** What has changed in more than these is shown as a snapshot. */
const MOST_CHANGED = 500

/** Executions times viewers that one statement looks at. */
const MOST_PAIRS = 20_000

/** Executions that changed, and those (UUIDs) that are of another status now than the wanted ones. */
export interface ChangedExecutions {
  readonly executions: readonly Execution[]
  readonly left: readonly string[]
}

/** Null wants nothing. */
export type FollowedExecutions = WantedExecutions | null

/** The newest first. */
export async function showExecutions(services: Services, principal: Principal, wanted: FollowedExecutions): Promise<Execution[]> {
  const page = { limit: MOST_FOLLOWED, descending: true }
  return wanted ? readWanted(readerOf(services, principal), principal, wanted, page) : []
}

/** Of these ids, what may be seen and is or was wanted: in pieces of one frame each. */
export type ChangedSince = (
  principal: Principal,
  wanted: FollowedExecutions,
  ids: readonly string[],
) => Promise<ChangedExecutions[] | 'TOO_MANY_CHANGES'>

interface Question {
  readonly principal: Principal
  readonly wanted: WantedExecutions
}

/** Wall screens that look at one time are answered together: who sees what of it, then the executions, one statement each. */
export function createChangedExecutions(services: Services): ChangedSince {
  const looks = new WeakMap<readonly string[], ReturnType<typeof lookAt>>()
  const lookAt = (ids: readonly string[]) =>
    together((questions: readonly Question[]) => changedForEach(services, questions, ids), {
      most: Math.max(1, Math.floor(MOST_PAIRS / ids.length)),
    })
  return async (principal, wanted, ids) => {
    if (!wanted || !isAllowed(principal, 'EXECUTIONS_READ')) return []
    // whoever looks from the same place has the very same list
    let look = looks.get(ids)
    if (!look) looks.set(ids, (look = lookAt(ids)))
    return look({ principal, wanted })
  }
}

async function changedForEach(
  services: Services,
  questions: readonly Question[],
  ids: readonly string[],
): Promise<(ChangedExecutions[] | 'TOO_MANY_CHANGES')[]> {
  const seen = await seenByEach(services, questions, ids)
  const found = [...new Set(seen.filter((some) => some.length <= MOST_CHANGED).flat())]
  const reader = readerOf(services)
  const rows = found.length === 0 ? [] : await selectRows(reader, Execution, { where: sql`t.id = any(${found}::uuid[])` })
  await maskExecutions(reader, rows)
  const byId = new Map(rows.map((row) => [row.id, row]))
  return questions.map(({ wanted: { status } }, place) => {
    if (seen[place]!.length > MOST_CHANGED) return 'TOO_MANY_CHANGES'
    return piecesOf(
      seen[place]!.flatMap((id) => byId.get(id) ?? []),
      status,
    )
  })
}

/** For each question the ids that it is about, in their order; more than MOST_CHANGED are not all of them. */
async function seenByEach({ database }: Services, questions: readonly Question[], ids: readonly string[]): Promise<string[][]> {
  const rights = questions.map(({ principal }) => rightsOf(principal))
  const { questions: asked, asker } = askTogether(
    rights,
    'alone uuid, flow_id uuid, initiator_id uuid, parent_id uuid, label jsonb, created_after timestamptz, created_before timestamptz',
    (place) => {
      const { principal, wanted } = questions[place]!
      const { flowId, initiatorId, parentId, label, createdAfter, createdBefore } = wanted
      return {
        ...{ alone: principal.kind === 'LINK' ? principal.executionId : undefined, flow_id: flowId, initiator_id: initiatorId },
        ...{ parent_id: parentId, label: label && { [label.key]: label.value } },
        ...{ created_after: createdAfter, created_before: createdBefore },
      }
    },
  )
  const { rows } = await sql<{ place: number; id: string }>`
    select q.place, seen.id from ${asked} cross join lateral (
      select t.id from sluice.executions as t
      where t.id = any(${ids}::uuid[]) and ${executionsSeenByEach(asker)} and (q.alone is null or t.id = q.alone)
        and (q.flow_id is null or t.flow_id = q.flow_id) and (q.initiator_id is null or t.initiator_id = q.initiator_id)
        and (q.parent_id is null or t.parent_id = q.parent_id) and (q.label is null or t.labels @> q.label)
        and (q.created_after is null or t.created_at >= q.created_after)
        and (q.created_before is null or t.created_at < q.created_before)
      order by t.id limit ${MOST_CHANGED + 1}) as seen`.execute(database.fork().getKysely<unknown>())
  const seen: string[][] = questions.map(() => [])
  for (const { place, id } of rows) seen[place]!.push(id)
  return seen
}

function piecesOf(rows: readonly Execution[], status: WantedExecutions['status']): ChangedExecutions[] {
  const pieces: ChangedExecutions[] = []
  for (let at = 0; at < rows.length; at += MOST_FOLLOWED) {
    const [executions, others] = [[] as Execution[], [] as string[]]
    for (const row of rows.slice(at, at + MOST_FOLLOWED)) {
      if (status?.includes(row.status) ?? true) executions.push(row)
      else others.push(row.id)
    }
    pieces.push({ executions, left: others })
  }
  return pieces
}

const readerOf = (services: Services, principal?: Principal): Reader => ({
  ...{ ...(principal && { principal }), services, frame: true, em: services.database.fork() },
})
