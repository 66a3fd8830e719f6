import { hash, parseOptions, verify } from '@node-rs/bcrypt'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { passwordMistakes } from '../../src/identity/password-rule.ts'
import { createPasswords, PasswordsBusyError } from '../../src/identity/passwords.ts'
import type { Bcrypt } from '../../src/identity/passwords.ts'

/** The real bcrypt, telling what it was asked. */
function observed(): { bcrypt: Bcrypt; hashes: string[]; atOnce: () => number } {
  const hashes: string[] = []
  let running = 0
  let most = 0
  const watch = async <T>(job: Promise<T>): Promise<T> => {
    most = Math.max(most, ++running)
    return job.finally(() => running--)
  }
  return {
    hashes,
    atOnce: () => most,
    bcrypt: {
      hash: (password, options) => watch(hash(password, options)),
      verify: (password, stored) => {
        hashes.push(stored)
        return watch(verify(password, stored))
      },
    },
  }
}

describe('the rule for new passwords (B2)', () => {
  test.each(['Abcdef-1', 'abcdefg1-', 'ÄÖÜäöü12', 'correct horse battery staple', 'x'.repeat(16) + 'abcd', '密码密码密码Aa1'])(
    '%j will do',
    (password) => {
      expect(passwordMistakes(password)).toEqual([])
    },
  )

  test.each([
    ['Abc-1', /at least 8 characters/],
    ['abcdefgh', /at least three of/],
    ['Abcdefgh', /at least three of/],
    ['a'.repeat(20), /5 different/],
    ['Aa1-'.repeat(19), /at most 72 bytes/],
    ['ü'.repeat(18) + 'Ab1-ü'.repeat(8), /at most 72 bytes/],
    ['Abcdef-1\u0000', /control characters/],
  ])('%j will not', (password, why) => {
    expect(passwordMistakes(password).join()).toMatch(why)
  })

  test('says everything at once', () => {
    expect(passwordMistakes('a')).toHaveLength(2)
  })
})

test('hashes are bcrypt with 12 rounds unless tests ask for fewer (B2)', async () => {
  expect(parseOptions(await createPasswords().hash('Abcdef-1'))).toEqual({ version: '2b', cost: 12 })
})

test('a password matches its own hash and nothing else does', async () => {
  const passwords = createPasswords({ cost: 4 })
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      async (one, other) => {
        fc.pre(
          passwordMistakes(one).every((mistake) => !/control|bytes/.test(mistake)) &&
            one.normalize('NFKC') !== other.normalize('NFKC'),
        )
        const stored = await passwords.hash(one)
        expect(await passwords.matches(one, stored)).toBe(true)
        expect(await passwords.matches(other, stored)).toBe(false)
      },
    ),
    { numRuns: 50 },
  )
})

test('the same password typed on another keyboard matches', async () => {
  const passwords = createPasswords({ cost: 4 })
  expect(await passwords.matches('Cafe\u0301-con-leche-1', await passwords.hash('Caf\u00e9-con-leche-1'))).toBe(true)
})

test('what follows the 72nd byte counts: bcrypt would not see it (B2)', async () => {
  const passwords = createPasswords({ cost: 4 })
  const longest = 'Ab1-'.repeat(18)
  const stored = await passwords.hash(longest)
  expect(await passwords.matches(longest, stored)).toBe(true)
  expect(await passwords.matches(`${longest}x`, stored)).toBe(false)
  await expect(passwords.hash(`${longest}x`)).rejects.toThrow()
})

test('an unknown user costs one bcrypt of the same rounds, as does every other refusal (B2)', async () => {
  const { bcrypt, hashes } = observed()
  const passwords = createPasswords({ cost: 5 }, bcrypt)
  const stored = await passwords.hash('Abcdef-1')
  for (const [password, against] of [
    ['Abcdef-1', stored],
    ['wrong', stored],
    ['Abcdef-1', undefined],
    ['', undefined],
    ['x'.repeat(100), stored],
    ['x'.repeat(100), undefined],
    ['a\u0000b', stored],
  ] as const) {
    hashes.length = 0
    expect(await passwords.matches(password, against)).toBe(password === 'Abcdef-1' && against === stored)
    expect(hashes).toHaveLength(1)
    expect(parseOptions(hashes[0]!)).toEqual({ version: '2b', cost: 5 })
  }
})

test('few run at a time, some wait, and more are turned away without being looked at', async () => {
  const { bcrypt, hashes, atOnce } = observed()
  const passwords = createPasswords({ cost: 4, atOnce: 2, waiting: 3 }, bcrypt)
  const results = await Promise.allSettled(Array.from({ length: 10 }, () => passwords.matches('x', undefined)))
  const refused = results.filter((result) => result.status === 'rejected')
  expect(refused).toHaveLength(5)
  for (const { reason } of refused) expect(reason).toBeInstanceOf(PasswordsBusyError)
  expect(hashes).toHaveLength(5)
  expect(atOnce()).toBe(2)
  expect(await passwords.matches('x', undefined)).toBe(false)
})
