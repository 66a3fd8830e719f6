/** The identity room as the rooms above see it, made once by the composition root. */
import type { Database } from '../database/database.ts'
import type { AttemptLimiter } from './attempt-limiter.ts'
import { createAuthenticate } from './authenticate.ts'
import type { Authenticate } from './authenticate.ts'
import { RefreshToken } from './entities/refresh-token.ts'
import { Session } from './entities/session.ts'
import { User } from './entities/user.ts'
import { createPasswords } from './passwords.ts'
import type { PasswordOptions, Passwords } from './passwords.ts'
import { createTokens } from './tokens.ts'
import type { Tokens } from './tokens.ts'

export const IDENTITY_ENTITIES = [User, Session, RefreshToken]

export interface IdentityOptions {
  database: Database
  jwtSecret: string
  signInAttempts: AttemptLimiter
  passwords?: PasswordOptions
}

export interface IdentityServices {
  readonly authenticate: Authenticate
  readonly tokens: Tokens
  readonly passwords: Passwords
  readonly signInAttempts: AttemptLimiter
}

export function createIdentity({ database, jwtSecret, signInAttempts, passwords }: IdentityOptions): IdentityServices {
  const tokens = createTokens(jwtSecret, database.clock)
  return { tokens, signInAttempts, passwords: createPasswords(passwords), authenticate: createAuthenticate(tokens, database) }
}
