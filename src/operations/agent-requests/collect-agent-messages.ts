/** What belongs into the streams of agents (A14): open requests and notices, of flows that let the asked role answer; masked (D2). */
import { encodeId } from '../../ids.ts'
import type { Json } from '../../language/values.ts'
import type { Services } from '../call.ts'
import { bodyOf, nameOf } from '../executions/read-steps.ts'
import { LEVELS } from '../permissions.ts'
import type { RoleMessage } from './agent-message.ts'

/** In the stream of one role: what is older comes first; of notices, what is newer, since they want nothing. */
const MOST_REQUESTS = 5_000
const MOST_NOTICES = 1_000
const NOTICES_KEPT_MS = 7 * 24 * 3_600_000
/** A larger body is left to the API. */
const MAX_BODY_BYTES = 200_000

const GRANTED = `exists (select from sluice.flow_grants as g
  where g.grantee = 'agent:' || r.role and g.flow_id = r.flow_id and g.level >= ${LEVELS.EXECUTE})`
const OPEN = `r.kind = 'REQUEST' and r.status = 'OPEN' and r.deadline_at > clock_timestamp()`
const UNTAKEN = `r.kind = 'NOTICE' and r.taken_at is null`

const WANTED = `
select roles.role, w.id, w.kind from unnest($1::text[]) as roles (role) cross join lateral (
  (select r.id, r.kind from sluice.agent_requests as r where r.role = roles.role and ${OPEN} and ${GRANTED}
    order by r.id limit ${MOST_REQUESTS})
  union all
  (select r.id, r.kind from sluice.agent_requests as r where r.role = roles.role and ${UNTAKEN} and r.id > $2 and ${GRANTED}
    order by r.id desc limit ${MOST_NOTICES})) as w`

export interface WantedMessages {
  /** UUIDs */
  readonly requests: ReadonlySet<string>
  readonly notices: ReadonlySet<string>
}

/** For each role that there is. One statement. */
export async function wantedMessages({ database, allow }: Services): Promise<ReadonlyMap<string, WantedMessages>> {
  const since = oldestUuid(database.clock.now() - NOTICES_KEPT_MS)
  const rows = await database.query<{ role: string; id: string; kind: string }>(WANTED, [[...allow.roles], since])
  const byRole = Map.groupBy(rows, ({ role }) => role)
  return new Map(
    [...allow.roles].map((role) => {
      const ids = (wanted: string) => new Set((byRole.get(role) ?? []).flatMap(({ kind, id }) => (kind === wanted ? id : [])))
      return [role, { requests: ids('REQUEST'), notices: ids('NOTICE') }]
    }),
  )
}

/** No UUIDv7 that was made from then on is smaller. */
function oldestUuid(ms: number): string {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`
}

export interface CollectedMessage {
  /** UUID */
  readonly id: string
  readonly role: string
  /** undefined: it belongs into no stream (any more) */
  readonly message: RoleMessage | undefined
}

interface Row {
  id: string
  role: string
  kind: 'REQUEST' | 'NOTICE'
  path: string
  attempt: number
  subject: string
  executionId: string
  flowId: string
  flowName: string
  createdAt: Date
  deadlineAt: Date | null
  bytes: number | null
  body: string | null
  wanted: boolean
}

const READ = `
select r.id, r.role, r.kind, r.path, r.attempt, r.subject, r.execution_id as "executionId", r.flow_id as "flowId",
  f.name as "flowName", r.created_at as "createdAt", r.deadline_at as "deadlineAt", octet_length(r.body::text) as bytes,
  case when octet_length(r.body::text) <= ${MAX_BODY_BYTES} then r.body::text end as body,
  ((${OPEN}) or (${UNTAKEN})) and ${GRANTED} as wanted
from sluice.agent_requests as r join sluice.flows as f on f.id = r.flow_id
where r.id = any($1) and r.kind <> 'APPROVAL'
order by r.id`

/** Those of these agent requests (UUIDs) that are for agents, as they are now. */
export async function collectAgentMessages(
  { database, engine, allow }: Services,
  ids: readonly string[],
): Promise<CollectedMessage[]> {
  const rows = (await database.query<Row>(READ, [ids])).filter(({ role }) => allow.roles.has(role))
  const masks = await engine.masks(rows.flatMap(({ wanted, executionId }) => (wanted ? executionId : [])))
  return rows.map((row) => {
    const { id, role, wanted } = row
    return { id, role, message: wanted ? messageOf(row, masks.get(row.executionId)!) : undefined }
  })
}

type Mask = Awaited<ReturnType<Services['engine']['masks']>> extends ReadonlyMap<string, infer Found> ? Found : never

function messageOf(row: Row, mask: Mask): RoleMessage {
  const masked = row.body === null ? undefined : mask.json({ step: bodyOf(row.path), value: 'given' }, row.body, '/body')
  return {
    v: 1,
    type: row.kind === 'REQUEST' ? 'request' : 'notice',
    id: encodeId('agentRequest', row.id),
    role: row.role,
    subject: mask.text(row.subject),
    body: masked ? (JSON.parse(masked.text) as Json) : null,
    bodyBytes: row.bytes ?? 0,
    redacted: masked?.redacted ?? [],
    execution: encodeId('execution', row.executionId),
    flow: { id: encodeId('flow', row.flowId), name: row.flowName },
    step: nameOf(row.path),
    attempt: row.attempt,
    createdAt: new Date(row.createdAt).toISOString(),
    deadlineAt: row.deadlineAt && new Date(row.deadlineAt).toISOString(),
  }
}

/** Agents have these notices: they are not sent again, whatever Redis loses. */
export async function noteTaken({ database }: Services, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return
  await database.query(
    `update sluice.agent_requests set taken_at = clock_timestamp() where id = any($1) and kind = 'NOTICE' and taken_at is null`,
    [ids],
  )
}
