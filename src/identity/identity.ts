/** The identity room as the rooms above see it, made once by the composition root. */
import type { Database } from '../database/database.ts'
import type { AttemptLimiter } from './attempt-limiter.ts'
import type { AuthChanges } from './auth-changes.ts'
import { createAuthenticate, createRenewPrincipals } from './authenticate.ts'
import type { Authenticate, RenewPrincipals } from './authenticate.ts'
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
  authChanges: AuthChanges
  signInAttempts: AttemptLimiter
  passwords?: PasswordOptions
}

export interface IdentityServices {
  readonly authenticate: Authenticate
  readonly renewPrincipals: RenewPrincipals
  readonly authChanges: AuthChanges
  readonly tokens: Tokens
  readonly passwords: Passwords
  readonly signInAttempts: AttemptLimiter
}

export function createIdentity(options: IdentityOptions): IdentityServices {
  const { database, jwtSecret, authChanges, signInAttempts, passwords } = options
  const tokens = createTokens(jwtSecret, database.clock)
  return {
    tokens,
    signInAttempts,
    authChanges,
    passwords: createPasswords(passwords),
    authenticate: createAuthenticate({ tokens, database, authChanges }),
    renewPrincipals: createRenewPrincipals(database),
  }
}
