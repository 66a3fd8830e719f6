/** How many flows and versions one principal may write in a minute (B3); counted in this process. */
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import { problem } from '../errors.ts'
import type { Problem } from '../errors.ts'
import type { Call, Services } from './call.ts'
import { requirePrincipal } from './permissions.ts'
import { noteRefusal } from './refuse.ts'

const LIMITERS = new WeakMap<Services, RateLimiterMemory>()

function limiterOf(services: Services): RateLimiterMemory {
  const known = LIMITERS.get(services)
  if (known) return known
  const made = new RateLimiterMemory({ points: services.limits.flowWritesPerMinute, duration: 60 })
  LIMITERS.set(services, made)
  return made
}

/** Counts one write that is about to be done. Problem: LIMIT_REACHED, audited. */
export async function limitFlowWrites(call: Call): Promise<Problem | undefined> {
  try {
    await limiterOf(call.services).consume(requirePrincipal(call).id)
    return undefined
  } catch (refusal) {
    if (!(refusal instanceof RateLimiterRes)) throw refusal
    await noteRefusal(call, { type: 'flow.writeLimited', errorCode: 'LIMIT_REACHED' })
    const { flowWritesPerMinute } = call.services.limits
    const message = `At most ${flowWritesPerMinute} flows and versions can be written in a minute.`
    return problem('LIMIT_REACHED', { message, retryAfterMs: Math.max(1, refusal.msBeforeNext) })
  }
}
