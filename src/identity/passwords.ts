/** Hashing and checking passwords with bcrypt, a few at a time, in the same time whether there is a user or not (B2). */
import { hash, verify } from '@node-rs/bcrypt'
import { bulkhead, BulkheadRejectedError } from 'cockatiel'
import { normalPassword, PASSWORD_MAX_BYTES } from './password-rule.ts'

export interface PasswordOptions {
  /** bcrypt's rounds as a power of two; 12 takes about a quarter of a second */
  cost?: number
  /** bcrypt jobs at a time: each fills a core, and they share threads with files and DNS */
  atOnce?: number
  /** jobs that may wait; more are turned away, so that a flood of sign-ins cannot pile up */
  waiting?: number
}

/** Too many passwords are being checked already; nothing was checked. */
export class PasswordsBusyError extends Error {
  override readonly name = 'PasswordsBusyError'
}

export interface Passwords {
  /** The text to store. The password must have passed `passwordMistakes`. Throws PasswordsBusyError. */
  hash(password: string): Promise<string>
  /** Whether it is the password of this hash. Without a hash (no such user) it does the same work and says no. Throws PasswordsBusyError. */
  matches(password: string, stored: string | undefined): Promise<boolean>
}

/** The two functions of bcrypt that are used. */
export interface Bcrypt {
  hash(password: string, options: { cost: number; rejectLongPasswords: true }): Promise<string>
  verify(password: string, stored: string): Promise<boolean>
}

/** Well-formed, so that checking against it takes as long as against any other; no password is known to make it. */
const hashOfNobody = (cost: number): string =>
  `$2b$${String(cost).padStart(2, '0')}$abcdefghijklmnopqrstuuNobodyNobodyNobodyNobodyNobody.`

export function createPasswords(options: PasswordOptions = {}, bcrypt: Bcrypt = { hash, verify }): Passwords {
  const { cost = 12, atOnce = 2, waiting = 100 } = options
  const limit = bulkhead(atOnce, waiting)
  const nobody = hashOfNobody(cost)

  async function oneOfFew<T>(job: () => Promise<T>): Promise<T> {
    try {
      return await limit.execute(job)
    } catch (error) {
      throw error instanceof BulkheadRejectedError ? new PasswordsBusyError() : error
    }
  }

  return {
    hash: (password) => oneOfFew(() => bcrypt.hash(normalPassword(password), { cost, rejectLongPasswords: true })),
    async matches(password, stored) {
      const normal = normalPassword(password)
      // bcrypt would compare the first 72 bytes alone; the work is done nevertheless, and the answer is no
      const possible = Buffer.byteLength(normal) <= PASSWORD_MAX_BYTES && !normal.includes('\0')
      const same = await oneOfFew(() => bcrypt.verify(possible ? normal : '', stored ?? nobody))
      return same && possible && stored !== undefined
    },
  }
}
