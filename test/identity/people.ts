/** A database with the identity room on it, calls by anybody, and people to make them. */
import { randomBytes } from 'node:crypto'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { Refusals } from '../../src/audit/refusals.ts'
import { createLocalBus } from '../../src/fleet/local-bus.ts'
import type { Problem } from '../../src/errors.ts'
import { isProblem } from '../../src/errors.ts'
import { createMemoryLimiter } from '../../src/fleet/memory-limiter.ts'
import { createAttemptLimiter } from '../../src/identity/attempt-limiter.ts'
import { createAuthChanges } from '../../src/identity/auth-changes.ts'
import { createSecretKeys } from '../../src/identity/secret-keys.ts'
import { createIdentity, IDENTITY_ENTITIES } from '../../src/identity/identity.ts'
import { createMailRoom } from '../../src/identity/mail-room.ts'
import { createOutbox } from '../../src/outbound/mail.ts'
import type { Principal, Role, UserPrincipal } from '../../src/identity/principal.ts'
import { insertUser } from '../../src/identity/users.ts'
import { DEFAULT_ROLES } from '../../src/language/roles.ts'
import { createLog } from '../../src/log.ts'
import type { Call, Services } from '../../src/operations/call.ts'
import { auditKeys } from '../harness/audit-keys.ts'
import { testDatabase } from '../harness/test-database.ts'

export const PASSWORD = 'Correct-horse-1'

/** bcrypt at its cheapest, limits as given: each test's addresses are its own. */
export async function people({ signInPerMinute = 5 } = {}) {
  const { database } = await testDatabase({ entities: [...IDENTITY_ENTITIES, AuditEvent] })
  const log = createLog('silent')
  const jwtSecret = randomBytes(32).toString('hex')
  const signInAttempts = createAttemptLimiter(createMemoryLimiter, signInPerMinute)
  const authChanges = createAuthChanges({ database, bus: createLocalBus(log), log })
  const outbox = createOutbox()
  const mailRoom = createMailRoom({ database, send: outbox.send, passwordResetUrl: 'https://app.example.com/reset', log })
  // tests say when mails are sent
  const driven = { ...mailRoom, wake: () => undefined }
  const jwtSecrets = { signing: jwtSecret }
  const passwords = { cost: 4 }
  const identity = createIdentity({
    database,
    jwtSecrets,
    secretKeys: createSecretKeys('never used'),
    authChanges,
    signInAttempts,
    passwords,
    mailRoom: driven,
    outbox: outbox.mails,
    agentRoles: new Set(DEFAULT_ROLES),
    log,
  })
  const refusals = new Refusals({ database, log })
  // the engine is not part of this room: no use case of identity touches it
  const security = { count: () => undefined }
  const services = { database, identity, refusals, security, auditKeys } as unknown as Services

  function call(principal?: Principal, ip = `192.0.2.${randomBytes(4).toString('hex')}`): Call {
    const signal = new AbortController().signal
    return { ...(principal ? { principal } : {}), origin: { ip }, requestId: 'test', em: database.fork(), log, signal, services }
  }

  /** Somebody who can sign in with PASSWORD. */
  async function person(role: Role = 'USER', { email }: { email?: string } = {}) {
    const handle = `p-${randomBytes(8).toString('hex')}`
    const user = { email: email ?? `${handle}@example.com`, handle, name: 'Somebody', role }
    const passwordHash = await identity.passwords.hash(PASSWORD)
    const stored = await database.transaction((em) => insertUser(em, { ...user, passwordHash }))
    if ('taken' in stored) throw new Error(`taken: ${stored.taken.join()}`)
    return { ...user, id: stored.id }
  }

  /** As if they had just come in with a token. */
  async function principal(role: Role = 'USER'): Promise<UserPrincipal> {
    const { id, handle } = await person(role)
    const open = `insert into sluice.sessions (id, user_id, expires_at) values ($1, $1, now() + interval '1 day')`
    await database.query(open, [id])
    return { kind: 'USER', id, actsAs: id, role, handle, sessionId: id, expiresAt: Number.MAX_SAFE_INTEGER }
  }

  /** The same call, but `work` is done once the passwords are checked and hashed, before anything is stored. */
  function meanwhile(asked: Call, work: () => Promise<unknown>): Call {
    const once =
      <Args extends unknown[], T>(job: (...args: Args) => Promise<T>) =>
      async (...args: Args): Promise<T> => {
        const done = await job(...args)
        await pending?.()
        pending = undefined
        return done
      }
    let pending: (() => Promise<unknown>) | undefined = work
    const { hash, matches } = identity.passwords
    const slow = { ...identity, passwords: { hash: once(hash), matches: once(matches) } }
    return { ...asked, services: { ...services, identity: slow } }
  }

  /** What the audit log says, oldest first, of the given types. */
  const audited = (...types: string[]): Promise<AuditEvent[]> =>
    database.fork().find(AuditEvent, { type: { $in: types } }, { orderBy: { id: 'asc' } })

  return { database, identity, mailRoom, jwtSecret, call, meanwhile, person, principal, audited }
}

/** The result of a use case that must not be a problem. */
export function unwrap<T>(result: T | Problem): T {
  if (isProblem(result)) throw new Error(`${result.problem}: ${result.message} ${JSON.stringify(result.issues)}`)
  return result
}
