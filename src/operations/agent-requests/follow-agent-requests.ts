/** What a feed of agent requests shows: what is open and somebody may see, and what has become of what changed. */
import { sql } from 'kysely'
import { AgentRequest } from '../../engine/entities/agent-request.ts'
import type { Principal } from '../../identity/principal.ts'
import type { Reader, Services } from '../call.ts'
import { isStorableText } from '../check-arguments.ts'
import { readAgentRequests } from './list-agent-requests.ts'
import { AGENT_REQUEST_BODIES } from '../load-by-id.ts'
import type { AgentRequestHead } from '../load-by-id.ts'
import { maskRequests } from '../executions/mask-rows.ts'
import { visibleAgentRequests } from './request-permissions.ts'
import { selectRows } from '../select-rows.ts'

/** Of a snapshot, and of one frame. */
export const MOST_REQUESTS = 100

/** What an inbox is about: one role, or whatever may be seen. */
export interface WantedRequests {
  readonly role?: string
}

/** `hasMore`: as many are open that not all of them are shown. */
export interface ShownRequests {
  readonly requests: readonly AgentRequestHead[]
  readonly hasMore: boolean
}

export interface ChangedRequests {
  readonly requests: readonly AgentRequestHead[]
}

/** What is open, the oldest first. */
export async function showAgentRequests(
  services: Services,
  principal: Principal,
  wanted: WantedRequests,
): Promise<ShownRequests> {
  const page = { limit: MOST_REQUESTS + 1, shown: MOST_REQUESTS, descending: false }
  const open = await readAgentRequests(readerOf(services, principal), principal, { ...wanted, status: ['OPEN'] }, page)
  return { requests: open.slice(0, MOST_REQUESTS), hasMore: open.length > MOST_REQUESTS }
}

/** Of these ids, what may be seen and is wanted: in pieces of one frame each. One statement. */
export async function changedAgentRequests(
  services: Services,
  principal: Principal,
  { role }: WantedRequests,
  ids: readonly string[],
): Promise<ChangedRequests[]> {
  if (role !== undefined && !isStorableText(role)) return []
  const reader = readerOf(services, principal)
  const ofRole = role === undefined ? sql`true` : sql`t.role = ${role}`
  const rows = await selectRows(reader, AgentRequest, {
    where: sql`t.id = any(${ids}::uuid[]) and ${ofRole} and ${visibleAgentRequests(principal)}`,
    then: sql`order by t.id`,
    without: AGENT_REQUEST_BODIES,
  })
  await maskRequests(reader, rows)
  const pieces: ChangedRequests[] = []
  for (let at = 0; at < rows.length; at += MOST_REQUESTS) pieces.push({ requests: rows.slice(at, at + MOST_REQUESTS) })
  return pieces
}

const readerOf = (services: Services, principal: Principal): Reader => ({
  ...{ principal, services, frame: true, em: services.database.fork() },
})
