/** How many flows and versions one principal may write in a minute (B3). */
import { problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import type { Call } from '../call.ts'
import { requirePrincipal } from '../permissions.ts'
import { noteRefusal } from '../refuse.ts'

/** Counts one write that is about to be done. Problem: LIMIT_REACHED, audited. */
export async function limitFlowWrites(call: Call): Promise<Problem | undefined> {
  const { allowed, limit, resetMs } = await call.services.limits.flowWrites.take(requirePrincipal(call).actsAs)
  if (allowed) return undefined
  await noteRefusal(call, { type: 'flow.writeLimited', errorCode: 'LIMIT_REACHED' })
  return problem('LIMIT_REACHED', {
    message: `At most ${limit} flows and versions can be written in a minute.`,
    retryAfterMs: resetMs,
  })
}
