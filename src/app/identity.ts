/** The people, keys and tokens of the process: who asks, what changed about them, mails to them, and the first administrator. */
import { createAttemptLimiter } from '../identity/attempt-limiter.ts'
import { createAuthChanges } from '../identity/auth-changes.ts'
import { createCleanUp } from '../identity/clean-up.ts'
import { ensureAdmin } from '../identity/ensure-admin.ts'
import type { AdminResult } from '../identity/ensure-admin.ts'
import { createIdentity } from '../identity/identity.ts'
import type { IdentityServices } from '../identity/identity.ts'
import { createMailRoom } from '../identity/mail-room.ts'
import type { SecretKeys } from '../identity/secret-keys.ts'
import { openMail } from '../outbound/open-mail.ts'
import type { Ground } from './ground.ts'

export interface AppIdentityOptions {
  jwtSecret: string
  secretKeys: SecretKeys
  agentRoles: ReadonlySet<string>
}

/** Started, and stopped with the stack. */
export async function openIdentity(ground: Ground, options: AppIdentityOptions): Promise<IdentityServices> {
  const { config, log, development, database, bus, createLimiter, upkeep, stack } = ground
  const { secretKeys, agentRoles } = options
  const authChanges = createAuthChanges({ database, bus, log })
  const mail = await openMail(config.mail, development)
  stack.defer(() => mail.close())
  const mailRoom = createMailRoom({ database, send: mail.send, passwordResetUrl: config.mail.passwordResetUrl, log })
  const identity = createIdentity({
    ...{ database, secretKeys, authChanges, mailRoom, outbox: mail.kept, agentRoles, log },
    jwtSecrets: { signing: options.jwtSecret, previous: config.identity.jwtPreviousSecrets },
    signInAttempts: createAttemptLimiter(createLimiter, config.limits.signInPerMinute),
  })
  for (const loop of [authChanges, mailRoom, createCleanUp(database, log, upkeep.isMine), identity.keyUse]) {
    loop.start()
    stack.defer(() => loop.stop())
  }
  return identity
}

/** The administrator of the configuration, made when there is none. */
export function openAdmin(
  { config, development, database }: Ground,
  { passwords }: Pick<IdentityServices, 'passwords'>,
  auditKeys: Parameters<typeof ensureAdmin>[0]['auditKeys'],
): Promise<AdminResult> {
  const { adminEmail: email, adminPassword: password } = config.identity
  return ensureAdmin({
    ...{ database, auditKeys, passwords, email },
    ...(password && { password }),
    ...(development && { dataDir: config.database.dataDir }),
  })
}
