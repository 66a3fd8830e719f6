import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, expect, test } from 'vitest'
import { developmentSecrets } from '../../src/identity/development-secrets.ts'
import { ensureAdmin } from '../../src/identity/ensure-admin.ts'
import { passwordMistakes } from '../../src/identity/password-rule.ts'
import { weaknessOfSecret } from '../../src/identity/secret-rule.ts'
import { signIn } from '../../src/operations/people/sign-in.ts'
import { people, unwrap } from './people.ts'
import { auditKeys } from '../harness/audit-keys.ts'

const { database, identity, call, person, audited } = await people()
const email = 'admin@sluice.local'
const root = mkdtempSync(join(tmpdir(), 'sluice-admin-'))
afterAll(() => rmSync(root, { recursive: true }))
beforeEach(() => database.query('delete from sluice.users'))

const ensure = (more: { dataDir?: string; password?: string }) =>
  ensureAdmin({ database, auditKeys, passwords: identity.passwords, email, ...more })
const admins = () => database.query(`select id from sluice.users where role = 'ADMIN'`)

test('development makes an administrator whose password lies 0600 in the data directory, and says where', async () => {
  const dataDir = join(root, 'fresh')
  const made = await ensure({ dataDir })
  const passwordFile = join(dataDir, 'admin-password')
  expect(made).toEqual({ admin: 'CREATED', passwordFile })
  expect(statSync(passwordFile).mode & 0o777).toBe(0o600)
  const password = readFileSync(passwordFile, 'utf8').trimEnd()
  expect(passwordMistakes(password)).toEqual([])
  expect(unwrap(await signIn(call(), { email, password })).user).toMatchObject({ email, role: 'ADMIN', handle: 'admin' })
  expect(await ensure({ dataDir })).toEqual({ admin: 'EXISTS', passwordFile })
  expect((await audited('user.created')).at(-1)).toMatchObject({ actorKind: 'SYSTEM', success: true })
})

test('many processes that start together make one administrator and one password', async () => {
  const dataDir = join(root, 'together')
  const results = await Promise.all(Array.from({ length: 8 }, () => ensure({ dataDir })))
  expect(results.filter(({ admin }) => admin === 'CREATED')).toHaveLength(1)
  expect(await admins()).toHaveLength(1)
  const password = readFileSync(join(dataDir, 'admin-password'), 'utf8').trimEnd()
  expect(unwrap(await signIn(call(), { email, password })).user.role).toBe('ADMIN')
})

test('a configured password is used, and no file is made', async () => {
  const dataDir = join(root, 'configured')
  expect(await ensure({ dataDir, password: 'Configured-1' })).toEqual({ admin: 'CREATED' })
  expect(existsSync(dataDir)).toBe(false)
  expect(unwrap(await signIn(call(), { email, password: 'Configured-1' })).user.role).toBe('ADMIN')
})

test('production without a password makes nobody and says so', async () => {
  expect(await ensure({})).toEqual({ admin: 'ABSENT' })
  expect(await admins()).toEqual([])
})

test('any administrator is enough, and nobody is made one by having the e-mail', async () => {
  await person('ADMIN')
  expect(await ensure({ password: 'Configured-1' })).toEqual({ admin: 'EXISTS' })
  await database.query('delete from sluice.users')
  await person('USER', { email: 'ADMIN@sluice.local' })
  await expect(ensure({ password: 'Configured-1' })).rejects.toThrow(/another user has the same email/)
})

test('development makes its own signing secret once, keeps it 0600, and uses what is set instead', () => {
  const dataDir = join(root, 'secrets')
  const made = developmentSecrets(dataDir)
  for (const secret of Object.values(made)) expect(weaknessOfSecret(secret)).toBeUndefined()
  expect(new Set(Object.values(made)).size).toBe(2)
  expect(developmentSecrets(dataDir)).toEqual(made)
  expect(statSync(join(dataDir, 'jwt-secret')).mode & 0o777).toBe(0o600)
  expect(statSync(dataDir).mode & 0o777).toBe(0o700)
  expect(developmentSecrets(join(root, 'unused'), { jwtSecret: 'a', secretsKey: 'b' })).toEqual({
    jwtSecret: 'a',
    secretsKey: 'b',
  })
  expect(existsSync(join(root, 'unused'))).toBe(false)
})

test('a made secret that others can use by now is refused, not trusted', () => {
  const dataDir = join(root, 'opened')
  developmentSecrets(dataDir)
  chmodSync(join(dataDir, 'jwt-secret'), 0o644)
  expect(() => developmentSecrets(dataDir)).toThrow(/can be used by others/)
})
