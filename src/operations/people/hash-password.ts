/** Hashing a checked password within a use case. */
import { isProblem, problem } from '../../errors.ts'
import type { Problem } from '../../errors.ts'
import { PasswordsBusyError } from '../../identity/passwords.ts'
import type { Call } from '../call.ts'

/** How long to stay away when every place for checking passwords is taken. */
const BUSY_RETRY_MS = 1_000

/** Problem: LIMIT_REACHED, when too many passwords are at work already. */
export const unlessBusy = <T>(work: Promise<T>): Promise<T | Problem> =>
  work.catch((error: unknown) => {
    if (error instanceof PasswordsBusyError) return problem('LIMIT_REACHED', { retryAfterMs: BUSY_RETRY_MS })
    throw error
  })

/** The hash in an object, since a text is no problem. */
export async function hashPassword(call: Call, password: string): Promise<{ hash: string } | Problem> {
  const hash = await unlessBusy(call.services.identity.passwords.hash(password))
  return isProblem(hash) ? hash : { hash }
}
