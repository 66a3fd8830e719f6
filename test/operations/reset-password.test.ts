import { expect, test } from 'vitest'
import { createMailRoom } from '../../src/identity/mail-room.ts'
import { createLog } from '../../src/log.ts'
import type { Mail } from '../../src/outbound/mail.ts'
import { changePassword } from '../../src/operations/people/change-password.ts'
import { requestPasswordReset, resetPassword } from '../../src/operations/people/reset-password.ts'
import { signIn } from '../../src/operations/people/sign-in.ts'
import { PASSWORD, people, unwrap } from '../identity/people.ts'
import { recordStatements } from '../harness/record-statements.ts'

const { database, identity, mailRoom, call, meanwhile, person, principal, audited } = await people({ signInPerMinute: 1_000 })
const NEW = 'Better-horse-2'

async function mailsTo(email: string) {
  await mailRoom.runOnce()
  return identity.outbox().filter(({ to }) => to === email)
}
async function tokenFor(email: string): Promise<string> {
  unwrap(await requestPasswordReset(call(), { email }))
  return /sluice_pr_[\w-]{43}/.exec((await mailsTo(email))[0]!.text)![0]
}
const reset = (token: string, password = NEW) => resetPassword(call(), { token, password })

test('a forgotten password is replaced with the token of a mail; all sessions end, and the owner is told (B2, B11, B14)', async () => {
  const user = await person()
  const before = unwrap(await signIn(call(), { email: user.email, password: PASSWORD }))
  const token = await tokenFor(user.email)
  const [mail] = await mailsTo(user.email)
  expect(mail).toMatchObject({ to: user.email, subject: 'Choose a new password' })
  expect(mail!.text).toContain(`https://app.example.com/reset#token=${token}`)
  expect(unwrap(await reset(token))).toEqual({ sessionsEnded: 1 })
  expect(await identity.authenticate(before.accessToken)).toMatchObject({ ok: false })
  expect(await signIn(call(), { email: user.email, password: PASSWORD })).toMatchObject({ problem: 'UNAUTHENTICATED' })
  unwrap(await signIn(call(), { email: user.email, password: NEW }))
  expect((await mailsTo(user.email))[0]).toMatchObject({ subject: 'Your password was changed' })
  expect((await audited('password.reset')).filter(({ actorId }) => actorId === user.id)).toHaveLength(1)
})

test('a token is good once, also when it is used 10 times at once, and then all others of its user are void (B2)', async () => {
  const user = await person()
  const [first, second] = [await tokenFor(user.email), await tokenFor(user.email)]
  const answers = await Promise.all(Array.from({ length: 10 }, () => reset(first)))
  expect(answers.filter((answer) => !('problem' in answer))).toHaveLength(1)
  for (const token of [first, second]) expect(await reset(token)).toMatchObject({ problem: 'UNAUTHENTICATED' })
})

test('a sign-in with the old password, checked while a reset was stored, opens no session (B2, B11)', async () => {
  const user = await person()
  const token = await tokenFor(user.email)
  const late = meanwhile(call(), async () => unwrap(await reset(token)))
  expect(await signIn(late, { email: user.email, password: PASSWORD })).toMatchObject({ problem: 'UNAUTHENTICATED' })
  expect(await database.query('select from sluice.sessions where user_id = $1', [user.id])).toEqual([])
})

test('who knew the old password cannot undo a reset that was stored meanwhile (B2, B11)', async () => {
  const attacker = await principal()
  const [{ email }] = (await database.query('select email from sluice.users where id = $1', [attacker.id])) as [{ email: string }]
  const token = await tokenFor(email)
  const late = meanwhile(call(attacker), async () => unwrap(await reset(token)))
  const change = { currentPassword: PASSWORD, newPassword: 'Attackers-horse-3' }
  await expect(changePassword(late, change)).rejects.toMatchObject({ code: 'UNAUTHENTICATED' })
  unwrap(await signIn(call(), { email, password: NEW }))
})

test('of two who change a password at once, the second one does not undo the first (B2)', async () => {
  const me = await principal()
  const change = (newPassword: string) => ({ currentPassword: PASSWORD, newPassword })
  const late = meanwhile(call(me), async () => unwrap(await changePassword(call(me), change(NEW))))
  expect(await changePassword(late, change('Other-horse-3'))).toMatchObject({ problem: 'UNAUTHENTICATED' })
})

test('a token is refused when it is old, made up, or its user cannot sign in; a weak password does not use it up (B2)', async () => {
  for (const token of ['', 'x', `sluice_pr_${'A'.repeat(43)}`, 'x'.repeat(100_000), '\u0000']) {
    expect(await reset(token)).toMatchObject({ problem: 'UNAUTHENTICATED' })
  }
  const old = await person()
  const expired = await tokenFor(old.email)
  const [row] = await database.query<{ minutes: number }>(
    'select extract(epoch from expires_at - now()) / 60 as minutes from sluice.password_resets where user_id = $1',
    [old.id],
  )
  expect(Number(row!.minutes)).toBeGreaterThan(29)
  expect(Number(row!.minutes)).toBeLessThanOrEqual(30)
  await database.query('update sluice.password_resets set expires_at = now() where user_id = $1', [old.id])
  expect(await reset(expired)).toMatchObject({ problem: 'UNAUTHENTICATED' })

  const disabled = await person()
  const theirs = await tokenFor(disabled.email)
  expect(await reset(theirs, 'weak')).toMatchObject({ problem: 'VALIDATION' })
  await database.query('update sluice.users set disabled_at = now() where id = $1', [disabled.id])
  expect(await reset(theirs)).toMatchObject({ problem: 'UNAUTHENTICATED' })
  await database.query('update sluice.users set disabled_at = null where id = $1', [disabled.id])
  unwrap(await reset(theirs))
})

test('no token is stored, nor is it in the audit log (B2, C6)', async () => {
  const user = await person()
  const token = await tokenFor(user.email)
  const secret = token.slice('sluice_pr_'.length)
  for (const table of ['password_resets', 'mail_requests', 'audit_events', 'users']) {
    const rows = await database.query<{ row: string }>(`select t::text as row from sluice.${table} t`)
    expect(rows.map(({ row }) => row).join()).not.toContain(secret)
  }
  expect(JSON.stringify(await audited('password.resetRequested'))).not.toContain(user.email)
})

test('asking does the same statements, and says the same, whether there is such an account or not (B2)', async () => {
  const [user, disabled] = [await person(), await person()]
  await database.query('update sluice.users set disabled_at = now() where id = $1', [disabled.id])
  const asked = []
  for (const email of [user.email, disabled.email, 'nobody-at-all@example.com']) {
    const { result, statements } = await recordStatements(() => requestPasswordReset(call(), { email }))
    asked.push({ result, statements: statements.map(({ text }) => text) })
  }
  expect(asked[0]!.statements.length).toBeGreaterThan(1)
  expect(asked[1]).toEqual(asked[0])
  expect(asked[2]).toEqual(asked[0])
  await mailRoom.runOnce()
  expect(identity.outbox().filter(({ to }) => to === disabled.email || to.startsWith('nobody-at-all'))).toEqual([])
  expect(await database.query('select from sluice.mail_requests')).toEqual([])
})

test('texts that are no account are answered alike', async () => {
  for (const email of ['', '\u0000', 'x'.repeat(100_000), "'; drop table sluice.users; --", '\ud800@example.com']) {
    expect(await requestPasswordReset(call(), { email })).toEqual({ accepted: true })
  }
})

test('asking again and again sends three mails in half an hour, all of which are good', async () => {
  const user = await person()
  for (let n = 0; n < 6; n += 1) unwrap(await requestPasswordReset(call(), { email: user.email }))
  const mails = await mailsTo(user.email)
  expect(mails).toHaveLength(3)
  unwrap(await reset(/sluice_pr_[\w-]{43}/.exec(mails[2]!.text)![0]))
})

test('asking is limited per address and account, and cannot keep others from signing in (B3)', async () => {
  const house = await people({ signInPerMinute: 5 })
  const [user, attacker] = [await house.person(), house.call()]
  const answers = []
  for (let n = 0; n < 6; n += 1) answers.push(await requestPasswordReset(attacker, { email: user.email }))
  expect(answers.map((answer) => 'problem' in answer)).toEqual([false, false, false, false, false, true])
  unwrap(await signIn(attacker, { email: user.email, password: PASSWORD }))
  unwrap(await requestPasswordReset(house.call(), { email: user.email }))
})

test('a mail that cannot be sent is tried again later with another token, then given up; the log names nobody (C6)', async () => {
  const house = await people()
  const user = await house.person()
  const lines: string[] = []
  const log = createLog('info', { write: (line: string) => void lines.push(line) })
  const tried: Mail[] = []
  const room = createMailRoom({
    database: house.database,
    passwordResetUrl: undefined,
    log,
    async send(mail) {
      tried.push(mail)
      throw Object.assign(new Error(`550 ${mail.to} is unknown here`), { code: 'EENVELOPE', responseCode: 550 })
    },
  })
  unwrap(await requestPasswordReset(house.call(), { email: user.email }))
  for (let n = 0; n < 6; n += 1) {
    await room.runOnce()
    await room.runOnce()
    expect(await house.database.query('select from sluice.password_resets')).toEqual([])
    await house.database.query('update sluice.mail_requests set due_at = now()')
  }
  expect(tried).toHaveLength(4)
  expect(new Set(tried.map(({ text }) => text)).size).toBe(4)
  expect(await house.database.query('select from sluice.mail_requests')).toEqual([])
  expect(lines.join()).toContain('EENVELOPE')
  expect(lines.join()).not.toMatch(/example\.com|sluice_pr_/)
})
