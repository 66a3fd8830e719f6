import { describe, expect, test } from 'vitest'
import { encodeId, newUuid } from '../../src/ids.ts'
import { AuditEvent } from '../../src/audit/entities/audit-event.ts'
import { setPassword } from '../../src/identity/users.ts'
import { createUser } from '../../src/operations/people/create-user.ts'
import { deleteUser, updateUser } from '../../src/operations/people/edit-user.ts'
import type { UpdateUser } from '../../src/operations/people/edit-user.ts'
import { listOutbox, listUsers } from '../../src/operations/people/list-users.ts'
import { signIn } from '../../src/operations/people/sign-in.ts'
import { PASSWORD, people, unwrap } from '../identity/people.ts'

const { database, identity, call, meanwhile, person, principal, audited } = await people({ signInPerMinute: 1_000 })
const admin = await principal('ADMIN')
const PAGE = { limit: 100, descending: true }

const update = (id: string, changes: Partial<UpdateUser>) => updateUser(call(admin), { id, expectedVersion: 1, ...changes })

async function signedIn() {
  const user = await person()
  const { accessToken } = unwrap(await signIn(call(), { email: user.email, password: PASSWORD }))
  const standing = async () => {
    const checked = await identity.authenticate(accessToken)
    return checked.ok ? checked.principal.role : checked.reason
  }
  expect(await standing()).toBe('USER')
  return { user, standing }
}

test('a change of role holds at once, without signing in again (B4, B11)', async () => {
  const { user, standing } = await signedIn()
  expect(unwrap(await update(user.id, { role: 'VIEWER' })).user).toMatchObject({ role: 'VIEWER', version: 2 })
  expect(await standing()).toBe('VIEWER')
  const events = (await audited('user.updated')).filter(({ metadata }) => metadata?.['userId'] === encodeId('user', user.id))
  expect(events).toMatchObject([{ actorId: admin.id, metadata: { role: 'VIEWER' } }])
})

test('disabling ends every session for good, also after enabling again (B11)', async () => {
  const { user, standing } = await signedIn()
  unwrap(await update(user.id, { disabled: true }))
  expect(await standing()).toBe('REVOKED')
  expect(await signIn(call(), { email: user.email, password: PASSWORD })).toMatchObject({ problem: 'UNAUTHENTICATED' })
  unwrap(await update(user.id, { disabled: false, expectedVersion: 2 }))
  expect(await standing()).toBe('REVOKED')
  unwrap(await signIn(call(), { email: user.email, password: PASSWORD }))
})

test('a password set by an administrator ends every session (B2, B11)', async () => {
  const { user, standing } = await signedIn()
  expect(await update(user.id, { password: 'weak' })).toMatchObject({
    problem: 'VALIDATION',
    issues: [{ path: ['password'] }, {}],
  })
  unwrap(await update(user.id, { password: 'Better-horse-2' }))
  expect(await standing()).toBe('REVOKED')
  unwrap(await signIn(call(), { email: user.email, password: 'Better-horse-2' }))
})

test('a stale change is refused with the present version, also when two come at once (A5)', async () => {
  const user = await person()
  const both = await Promise.all(['One', 'Two'].map((name) => update(user.id, { name })))
  expect(both.filter((result) => 'problem' in result)).toMatchObject([{ problem: 'STALE_VERSION', currentVersion: 2 }])
  expect(await update(user.id, { name: 'Three' })).toMatchObject({ problem: 'STALE_VERSION', currentVersion: 2 })
  expect(await update(newUuid(), { name: 'Nobody' })).toMatchObject({ problem: 'NOT_FOUND' })
  expect(await update(user.id, { name: ' ', expectedVersion: 2 })).toMatchObject({ problem: 'VALIDATION' })
})

test.each(['USER', 'VIEWER'] as const)('a %s may do nothing of this, and the try is audited (B4, A7)', async (role) => {
  const [somebody, other] = [await principal(role), await person()]
  const tries = [
    () => updateUser(call(somebody), { id: other.id, expectedVersion: 1, role: 'ADMIN' }),
    () => updateUser(call(somebody), { id: somebody.id, expectedVersion: 1, role: 'ADMIN' }),
    () => deleteUser(call(somebody), { id: other.id, expectedVersion: 1 }),
    () => listUsers(call(somebody), {}, PAGE),
    () => listOutbox(call(somebody)),
  ]
  for (const attempt of tries) await expect(attempt()).rejects.toMatchObject({ code: 'FORBIDDEN' })
  expect((await audited('user.refused')).filter(({ actorId }) => actorId === somebody.id)).toHaveLength(1)
  expect(await listUsers(call(admin), { handle: other.handle }, PAGE)).toMatchObject([{ role: 'USER', version: 1 }])
})

test('users are found by role, state, handle and e-mail (B6)', async () => {
  const [one, two] = [await person('VIEWER'), await person()]
  unwrap(await update(two.id, { disabled: true }))
  const found = async (filter: Parameters<typeof listUsers>[1]) =>
    (await listUsers(call(admin), filter, PAGE)).map(({ id }) => id)
  expect(await found({ role: ['VIEWER'], handle: one.handle })).toEqual([one.id])
  expect(await found({ role: ['ADMIN', 'USER'], handle: one.handle })).toEqual([])
  expect(await found({ disabled: true })).toContain(two.id)
  expect(await found({ disabled: false })).not.toContain(two.id)
  expect(await found({ email: one.email.toUpperCase() })).toEqual([one.id])
  expect(await found({ handle: "'; drop table sluice.users; --" })).toEqual([])
  expect(await found({ role: [] })).toEqual([])
})

describe('deleting', () => {
  test('erases the person and keeps the id, in history and audit too (B4)', async () => {
    const { user, standing } = await signedIn()
    await database.query(
      `insert into sluice.api_keys (id, owner_id, name, prefix, hash, role, scopes, expires_at)
       values ($1, $2, 'key of a person', 'slk_', sha256('x'), 'USER', '{}', now() + interval '1 day')`,
      [newUuid(), user.id],
    )
    expect(unwrap(await deleteUser(call(admin), { id: user.id, expectedVersion: 1 }))).toEqual({ userId: user.id })
    expect(await standing()).toBe('REVOKED')
    const [row] = await database.query<{ row: string }>('select u::text as row from sluice.users u where id = $1', [user.id])
    for (const trace of [user.email, user.handle, user.name]) expect(row!.row).not.toContain(trace)
    expect(await database.query('select from sluice.sessions where user_id = $1', [user.id])).toEqual([])
    expect(await database.query('select from sluice.api_keys where owner_id = $1', [user.id])).toEqual([])
    expect(await listUsers(call(admin), { handle: user.handle }, PAGE)).toEqual([])
    const kept = await database.fork().find(AuditEvent, { actorId: user.id })
    expect(kept).toMatchObject([{ type: 'signIn.succeeded' }])
    expect(await signIn(call(), { email: user.email, password: PASSWORD })).toMatchObject({ problem: 'UNAUTHENTICATED' })
    expect(await update(user.id, { disabled: false, expectedVersion: 2 })).toMatchObject({ problem: 'NOT_FOUND' })
    // the address and the handle are free again
    await person('USER', { email: user.email })
  })

  test('is refused when the user was changed meanwhile (A5)', async () => {
    const user = await person()
    unwrap(await update(user.id, { name: 'Other' }))
    const refused = await deleteUser(call(admin), { id: user.id, expectedVersion: 1 })
    expect(refused).toMatchObject({ problem: 'STALE_VERSION', currentVersion: 2 })
  })
})

describe('the last administrator (B4)', () => {
  test.each<[string, (house: Awaited<ReturnType<typeof people>>, id: string) => Promise<unknown>]>([
    [
      'demoted',
      async (house, id) => updateUser(house.call(await house.principal('ADMIN')), { id, expectedVersion: 1, role: 'USER' }),
    ],
    [
      'disabled',
      async (house, id) => updateUser(house.call(await house.principal('ADMIN')), { id, expectedVersion: 1, disabled: true }),
    ],
    ['deleted', async (house, id) => deleteUser(house.call(await house.principal('ADMIN')), { id, expectedVersion: 1 })],
  ])('cannot be %s, while one of two can', async (_what, end) => {
    const house = await people()
    const one = await house.principal('ADMIN')
    unwrap((await end(house, one.id)) as object)
    const [last] = await house.database.query<{ id: string }>(
      `select id from sluice.users where role = 'ADMIN' and disabled_at is null`,
    )
    const asLast = { ...one, id: last!.id, sessionId: last!.id }
    for (const change of [{ role: 'USER' as const }, { disabled: true }]) {
      const refused = await updateUser(house.call(asLast), { id: last!.id, expectedVersion: 1, ...change })
      expect(refused).toMatchObject({ problem: 'ILLEGAL_STATE' })
    }
    expect(await deleteUser(house.call(asLast), { id: last!.id, expectedVersion: 1 })).toMatchObject({ problem: 'ILLEGAL_STATE' })
    unwrap(await updateUser(house.call(asLast), { id: last!.id, expectedVersion: 1, name: 'Still there' }))
  })

  test('of two who demote each other at once, one remains', async () => {
    const house = await people()
    const [one, two] = [await house.principal('ADMIN'), await house.principal('ADMIN')]
    const demote = (by: typeof one, id: string) => updateUser(house.call(by), { id, expectedVersion: 1, role: 'USER' })
    const answers = await Promise.allSettled([demote(one, two.id), demote(two, one.id)])
    expect(answers.filter(({ status }) => status === 'rejected')).toMatchObject([{ reason: { code: 'FORBIDDEN' } }])
  })
})

describe('an administrator who is shut out while a password waits for its hash (B4, B11)', () => {
  test.each([
    ['demoted', `update sluice.users set role = 'USER' where id = $1`, 'FORBIDDEN'],
    ['disabled', 'update sluice.users set disabled_at = now() where id = $1', 'UNAUTHENTICATED'],
    ['signed out', 'update sluice.sessions set revoked_at = now() where user_id = $1', 'UNAUTHENTICATED'],
  ])('and is %s changes and makes nobody', async (_how, statement, code) => {
    const [user, actor, other] = [await person(), await principal('ADMIN'), await principal('ADMIN')]
    const shutOut = (who: typeof actor) => meanwhile(call(who), () => database.query(statement, [who.id]))
    const change = { id: user.id, expectedVersion: 1, password: 'Better-horse-2', role: 'ADMIN' as const }
    await expect(updateUser(shutOut(actor), change)).rejects.toMatchObject({ code })
    const accomplice = { ...user, email: `x-${user.email}`, handle: `x-${user.handle}`.slice(0, 39), password: PASSWORD }
    const { id: _id, ...wish } = accomplice
    await expect(createUser(shutOut(other), { ...wish, role: 'ADMIN' })).rejects.toMatchObject({ code })
    expect(await listUsers(call(admin), { handle: user.handle }, PAGE)).toMatchObject([{ role: 'USER', version: 1 }])
    expect(await listUsers(call(admin), { handle: wish.handle }, PAGE)).toEqual([])
  })
})

test('a user who changes while they are deleted is either deleted or stale, as the answer says (A5, B4)', async () => {
  const user = await person()
  const waiting = Promise.withResolvers<void>()
  const changed = database.transaction(async (em) => {
    await setPassword(em, user.id, 'other')
    waiting.resolve()
    await waitsForLock()
  })
  await waiting.promise
  const deleted = await deleteUser(call(admin), { id: user.id, expectedVersion: 1 })
  await changed
  expect(deleted).toMatchObject({ problem: 'STALE_VERSION', currentVersion: 2 })
  const events = (await audited('user.deleted')).filter(({ metadata }) => metadata?.['userId'] === encodeId('user', user.id))
  expect(events).toEqual([])
})

/** Until somebody waits for a row of this database. */
async function waitsForLock(): Promise<void> {
  const WAITING = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`
  while ((await database.query(WAITING)).length === 0);
}
