/** Access to feeds as a test wants it: who may see, who is no more, and changes that are told when the test says so. */
import { ExecutionMask } from '../../src/engine/execution-mask.ts'
import type { MasksOf } from '../../src/engine/masks.ts'
import type { AuthListener, AuthSubject } from '../../src/identity/auth-changes.ts'
import type { UserPrincipal } from '../../src/identity/principal.ts'
import { newUuid } from '../../src/ids.ts'
import type { WhoMaySee } from '../../src/live/execution-topic.ts'
import type { FeedAccess } from '../../src/live/feeds.ts'

/** Nothing is marked as sensitive. */
export const masks: MasksOf = async (ids) => new Map([...ids].map((id) => [id, new ExecutionMask()]))

/** Every execution's flow. */
export const FLOW = newUuid()

export const reader = (more: Partial<UserPrincipal> = {}): UserPrincipal => ({
  kind: 'USER',
  id: newUuid(),
  actsAs: 'me',
  role: 'USER',
  handle: 'me',
  sessionId: newUuid(),
  expiresAt: Infinity,
  ...more,
})

export function steeredAccess() {
  const listeners = new Set<AuthListener>()
  const it = {
    /** UUIDs of users who may see nothing */
    blind: new Set<string>(),
    /** sessions that are over */
    over: new Set<string>(),
    /** what was asked, for how many at once */
    questions: [] as number[],
    broken: false,
    fresh: async () => undefined as void,
    change: (...subjects: AuthSubject[]) => listeners.forEach((listener) => listener(new Set(subjects))),
  }
  const access: FeedAccess = {
    fresh: () => it.fresh(),
    changedSince: () => false,
    onAuthChange: (listener) => (listeners.add(listener), () => void listeners.delete(listener)),
    async renewPrincipals(principals) {
      it.questions.push(principals.length)
      if (it.broken) throw new Error('broken by the test')
      return principals.map((principal) => (it.over.has((principal as UserPrincipal).sessionId) ? undefined : principal))
    },
  }
  const whoMaySee: WhoMaySee = async (asked) => asked.map(({ principal }) => (it.blind.has(principal.id) ? undefined : FLOW))
  return Object.assign(it, { access, whoMaySee })
}
