/** Makes a capability link: a short-lived token for one execution, to read it or to answer what it asks, and nothing else. */
import { auditEntry, recordAudit } from '../../audit/record-audit.ts'
import { queryIn } from '../../database/database.ts'
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { encodeId } from '../../ids.ts'
import type { ExecutionLink } from '../../identity/entities/execution-link.ts'
import { insertExecutionLink } from '../../identity/execution-links.ts'
import type { LinkPrincipal } from '../../identity/principal.ts'
import type { Call } from '../call.ts'
import { ArgumentCheck } from '../check-arguments.ts'
import { findFlowLevel } from '../flows/find-flow.ts'
import { getExecution } from './get-execution.ts'
import { loadExecutionLinks } from '../load-by-id.ts'
import { mayLink, requirePrincipal } from '../permissions.ts'
import { forbid } from '../refuse.ts'

export interface CreateExecutionLink {
  /** UUID */
  executionId: string
  may: LinkPrincipal['may']
  /** ms, an hour unless said otherwise */
  lifetimeMs?: number | undefined
}

const MINUTE_MS = 60_000
const DEFAULT_LIFETIME_MS = 60 * MINUTE_MS
const MAX_LIFETIME_MS = 7 * 24 * 60 * MINUTE_MS
/** Live links to one execution. */
const MAX_LINKS = 100

/**
 * `token` is shown this once. The link can do no more than whoever made it, also later. Problems: NOT_FOUND, VALIDATION,
 * LIMIT_REACHED. Throws FORBIDDEN: viewers and agents lend nothing, and ANSWER is for those who may answer.
 */
export async function createExecutionLink(
  call: Call,
  { executionId, may, lifetimeMs = DEFAULT_LIFETIME_MS }: CreateExecutionLink,
): Promise<{ link: ExecutionLink; token: string } | Problem> {
  const principal = requirePrincipal(call)
  const execution = await getExecution(call, executionId)
  if (isProblem(execution)) return execution
  const { flowId } = execution
  const level = await findFlowLevel(call, flowId)
  if (!mayLink(principal, may, { level })) return forbid(call, { type: 'executionLink.creationRefused', executionId, flowId })
  const check = new ArgumentCheck()
  check.whole(['lifetime'], lifetimeMs, MINUTE_MS, MAX_LIFETIME_MS)
  if (check.problem) return check.problem

  const made = await call.services.database.transaction(async (em) => {
    await queryIn(em, FORGET)
    const [live] = await queryIn<{ n: number }>(em, LIVE, [executionId])
    if (live!.n >= MAX_LINKS) return tooMany()
    const { id, token } = await insertExecutionLink(em, { executionId, flowId, issuerId: principal.actsAs, may, lifetimeMs })
    const metadata = { linkId: encodeId('executionLink', id), may }
    await recordAudit(em, auditEntry(call, { type: 'executionLink.created', executionId, flowId, metadata }))
    return { id, token }
  })
  if (isProblem(made)) return made
  const [link] = await loadExecutionLinks(call, [made.id])
  return link ? { link, token: made.token } : problem('NOT_FOUND')
}

const LIVE = `
select count(*)::integer as n from sluice.execution_links where execution_id = $1 and revoked_at is null and expires_at > now()`

/** Links that nobody can use any more are kept for a while, for whoever looks, and then forgotten, a few at a time. */
const FORGET = `
delete from sluice.execution_links where id in (
  select id from sluice.execution_links where expires_at < now() - interval '30 days' order by expires_at limit 10 for update skip locked)`

const tooMany = (): Problem =>
  problem('LIMIT_REACHED', { message: `At most ${MAX_LINKS} links to one execution are good at a time; revoke one.` })
