/** Verified tokens: each stays until something it stands on changes, it is pushed out, or its end (which the reader checks). */
import { LRUCache } from 'lru-cache'
import type { AuthChanges } from './auth-changes.ts'
import { subjectsOf } from './principal.ts'
import type { Authentication, Principal } from './principal.ts'

/** About 10 MB; verifying a token takes a signature (0.2 ms) and a query. */
const MAX_TOKENS = 10_000

export interface PrincipalCache {
  /** What is known of the token, else what `verify` finds; simultaneous callers share one question. Rejects as `fresh` and `verify` do. */
  find(token: string, verify: (token: string) => Promise<Authentication>): Promise<Authentication>
}

export function createPrincipalCache(
  { fresh, changedSince, onAuthChange }: Pick<AuthChanges, 'fresh' | 'changedSince' | 'onAuthChange'>,
  monotonic: () => number = () => performance.now(),
): PrincipalCache {
  const bySubject = new Map<string, Set<string>>()
  const known = new LRUCache<string, Principal>({ max: MAX_TOKENS, dispose: (principal, token) => forget(principal, token) })
  const asked = new Map<string, Promise<Authentication>>()

  function remember(token: string, principal: Principal): void {
    known.set(token, principal)
    for (const subject of subjectsOf(principal)) bySubject.set(subject, (bySubject.get(subject) ?? new Set()).add(token))
  }
  function forget(principal: Principal, token: string): void {
    for (const subject of subjectsOf(principal)) {
      const tokens = bySubject.get(subject)
      tokens?.delete(token)
      if (tokens?.size === 0) bySubject.delete(subject)
    }
  }

  onAuthChange((changed) => {
    if (changed === 'EVERYTHING') known.clear()
    else for (const subject of changed) for (const token of [...(bySubject.get(subject) ?? [])]) known.delete(token)
    // whoever asks from now on gets an answer that knows of the change
    asked.clear()
  })

  /** Asks again when things changed meanwhile: no answer is older than what is known here when it is given. */
  async function ask(token: string, verify: (token: string) => Promise<Authentication>): Promise<Authentication> {
    for (;;) {
      const since = monotonic()
      const found = await verify(token)
      if (!found.ok) return found
      if (changedSince(subjectsOf(found.principal), since)) continue
      remember(token, found.principal)
      return found
    }
  }

  return {
    async find(token, verify) {
      await fresh()
      const principal = known.get(token)
      if (principal) return { ok: true, principal }
      const shared = asked.get(token)
      if (shared) return shared
      const answer = ask(token, verify).finally(() => asked.get(token) === answer && asked.delete(token))
      asked.set(token, answer)
      return answer
    },
  }
}
