/** The identity room as the rooms above see it, made once by the composition root. */
import type { Database } from '../database/database.ts'
import type { SentMail } from '../outbound/mail.ts'
import type { Logger } from '../log.ts'
import type { AttemptLimiter } from './attempt-limiter.ts'
import type { AuthChanges } from './auth-changes.ts'
import { createAuthenticate, createRenewPrincipals } from './authenticate.ts'
import type { Authenticate, RenewPrincipals } from './authenticate.ts'
import { ApiKey } from './entities/api-key.ts'
import { ExecutionLink } from './entities/execution-link.ts'
import { FlowGrant } from './entities/flow-grant.ts'
import { RefreshToken } from './entities/refresh-token.ts'
import { Secret } from './entities/secret.ts'
import { Session } from './entities/session.ts'
import { User } from './entities/user.ts'
import type { MailRoom } from './mail-room.ts'
import { createKeyUse } from './key-use.ts'
import type { KeyUse } from './key-use.ts'
import { createMessageKeys } from './message-keys.ts'
import type { MessageKeys } from './message-keys.ts'
import { createPasswords } from './passwords.ts'
import type { PasswordOptions, Passwords } from './passwords.ts'
import type { SecretKeys } from './secret-keys.ts'
import { successorOf } from './sessions.ts'
import { createTokens } from './tokens.ts'
import type { JwtSecrets, Tokens } from './tokens.ts'

export const IDENTITY_ENTITIES = [User, Session, RefreshToken, ApiKey, FlowGrant, ExecutionLink, Secret]

export interface IdentityOptions {
  database: Database
  jwtSecrets: JwtSecrets
  secretKeys: SecretKeys
  authChanges: AuthChanges
  signInAttempts: AttemptLimiter
  /** the agent roles there are (A2) */
  agentRoles: ReadonlySet<string>
  log: Logger
  passwords?: PasswordOptions
  mailRoom: MailRoom
  /** what development kept instead of sending it */
  outbox?: () => readonly SentMail[]
}

export interface IdentityServices {
  readonly authenticate: Authenticate
  readonly renewPrincipals: RenewPrincipals
  readonly authChanges: AuthChanges
  readonly keyUse: KeyUse
  readonly tokens: Tokens
  /** the refresh token that follows one: see `sessions.ts` */
  readonly successorOf: (refreshToken: string, idempotencyKey: string | undefined) => string
  readonly passwords: Passwords
  readonly mailRoom: Pick<MailRoom, 'wake'>
  /** mails that were kept instead of sent, the newest first; none where they are sent */
  readonly outbox: () => readonly SentMail[]
  /** what secrets are sealed with */
  readonly secretKeys: SecretKeys
  /** what messages to agents are signed with */
  readonly messageKeys: MessageKeys
  readonly signInAttempts: AttemptLimiter
}

export function createIdentity(options: IdentityOptions): IdentityServices {
  const {
    database,
    jwtSecrets,
    secretKeys,
    authChanges,
    signInAttempts,
    agentRoles,
    log,
    passwords,
    mailRoom,
    outbox = () => [],
  } = options
  const keyUse = createKeyUse({ database, log })
  const tokens = createTokens(jwtSecrets, database.clock)
  return {
    tokens,
    secretKeys,
    messageKeys: createMessageKeys(secretKeys),
    signInAttempts,
    authChanges,
    mailRoom,
    outbox,
    successorOf: (refreshToken, key) => successorOf(refreshToken, key, jwtSecrets.signing),
    keyUse,
    passwords: createPasswords(passwords),
    authenticate: createAuthenticate({ tokens, database, authChanges, agentRoles, onKeyUse: keyUse.note }),
    renewPrincipals: createRenewPrincipals(database, agentRoles),
  }
}
