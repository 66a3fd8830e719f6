import { describe, expect, test } from 'vitest'
import { Fault } from '../../src/errors.ts'
import { encodeId } from '../../src/ids.ts'
import { createUser } from '../../src/operations/people/create-user.ts'
import { signIn } from '../../src/operations/people/sign-in.ts'
import { PASSWORD, people, unwrap } from '../identity/people.ts'

const { database, call, principal, person, audited } = await people()
let number = 0
const input = (more: Record<string, unknown> = {}) => {
  number++
  return {
    email: `new-${number}@example.com`,
    handle: `new-${number}`,
    name: 'New',
    password: PASSWORD,
    role: 'USER' as const,
    ...more,
  }
}

test('an administrator adds somebody, who can sign in at once; it is audited (B4, B14)', async () => {
  const admin = await principal('ADMIN')
  const wish = input({ email: '  New-One@Example.com ', name: "  Robert'); drop table sluice.users; -- ", role: 'VIEWER' })
  const { user } = unwrap(await createUser(call(admin), wish))
  expect(user).toMatchObject({
    email: 'New-One@Example.com',
    name: "Robert'); drop table sluice.users; --",
    role: 'VIEWER',
    version: 1,
  })
  expect(unwrap(await signIn(call(), { email: 'new-one@example.com', password: PASSWORD })).user.id).toBe(user.id)
  const [event] = (await audited('user.created')).filter(({ actorId }) => actorId === admin.id)
  expect(event).toMatchObject({ success: true, metadata: { userId: encodeId('user', user.id), role: 'VIEWER' } })
})

test.each(['USER', 'VIEWER'] as const)('a %s may not, and the try is audited (B4, A7)', async (role) => {
  const somebody = await principal(role)
  await expect(createUser(call(somebody), input())).rejects.toMatchObject({ code: 'FORBIDDEN' })
  expect((await audited('user.refused')).filter(({ actorId }) => actorId === somebody.id)).toMatchObject([
    { success: false, errorCode: 'FORBIDDEN' },
  ])
})

test('nobody in particular may not either (C1)', async () => {
  const attempt = createUser(call(), input())
  await expect(attempt).rejects.toBeInstanceOf(Fault)
  await expect(attempt).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
})

describe('a new user', () => {
  test('is refused with every mistake at once, none quoting the password (B2, B5)', async () => {
    const wrong = input({ email: 'nobody', handle: 'No Handle', name: ' ', password: 'hunter2', role: 'KING' })
    const refused = await createUser(call(await principal('ADMIN')), wrong)
    expect(refused).toMatchObject({ problem: 'VALIDATION' })
    const issues = 'issues' in refused ? (refused.issues ?? []) : []
    expect(new Set(issues.map(({ path }) => path.join('.')))).toEqual(new Set(['email', 'handle', 'name', 'password', 'role']))
    expect(JSON.stringify(refused)).not.toContain('hunter2')
  })

  test.each([
    ['handle', 'x'.repeat(40)],
    ['handle', ''],
    ['name', 'x'.repeat(101)],
    ['name', 'a\u0000b'],
    ['email', `${'x'.repeat(250)}@example.com`],
    ['password', 'Aa1-'.repeat(19)],
    ['isAdmin', true],
  ])('is refused for its %s %j', async (field, value) => {
    expect(await createUser(call(await principal('ADMIN')), input({ [field]: value }))).toMatchObject({ problem: 'VALIDATION' })
  })

  test('may not have the e-mail or handle of another, in whatever case', async () => {
    const other = await person()
    const admin = call(await principal('ADMIN'))
    expect(await createUser(admin, input({ email: other.email.toUpperCase() }))).toMatchObject({
      issues: [{ code: 'TAKEN', path: ['email'] }],
    })
    expect(await createUser(admin, input({ handle: other.handle }))).toMatchObject({
      issues: [{ code: 'TAKEN', path: ['handle'] }],
    })
    const both = await createUser(admin, input({ email: other.email, handle: other.handle }))
    expect(both).toMatchObject({ problem: 'VALIDATION', issues: [{ path: ['email'] }, { path: ['handle'] }] })
  })

  test('asked for 10 times at once is made once', async () => {
    const admin = call(await principal('ADMIN'))
    const wish = input()
    const results = await Promise.all(Array.from({ length: 10 }, () => createUser(admin, wish)))
    expect(results.filter((result) => 'user' in result)).toHaveLength(1)
    expect(await database.query('select id from sluice.users where handle = $1', [wish.handle])).toHaveLength(1)
  })
})
