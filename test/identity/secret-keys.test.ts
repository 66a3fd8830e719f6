import { expect, test } from 'vitest'
import { createSecretKeys, UnsealError } from '../../src/identity/secret-keys.ts'
import type { Sealed } from '../../src/identity/secret-keys.ts'
import { mistakeOfSecretValue } from '../../src/identity/secret-value-rule.ts'

const ROW = { id: 'a', ownerId: 'b', name: 'stripe_key', version: 1 }
const keys = createSecretKeys('the current key of this test')

function reasonOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof UnsealError) return error.reason
    throw error
  }
  return 'opened'
}

test('what was sealed opens, and no two seals are alike (B9)', () => {
  const [one, two] = [keys.seal('päss-wörd', ROW), keys.seal('päss-wörd', ROW)]
  expect(keys.unseal(one, ROW)).toBe('päss-wörd')
  expect(one.sealed.equals(two.sealed)).toBe(false)
  expect(one.sealed.includes('wörd')).toBe(false)
})

test('any bit that is changed is found (B9)', () => {
  const sealed = keys.seal('a secret value', ROW)
  for (let bit = 0; bit < sealed.sealed.length * 8; bit++) {
    const changed = Buffer.from(sealed.sealed)
    changed[bit >> 3]! ^= 1 << (bit & 7)
    expect(reasonOf(() => keys.unseal({ ...sealed, sealed: changed }, ROW))).toBe('TAMPERED')
  }
  const nonce = Buffer.from(sealed.nonce)
  nonce[0]! ^= 1
  expect(reasonOf(() => keys.unseal({ ...sealed, nonce }, ROW))).toBe('TAMPERED')
  for (const length of [0, 4, 15, 16, 20]) {
    const cut: Sealed = { ...sealed, sealed: sealed.sealed.subarray(0, length) }
    expect(reasonOf(() => keys.unseal(cut, ROW))).toBe('TAMPERED')
  }
})

test.each(['id', 'ownerId', 'name'] as const)('a seal that was moved to a row with another %s does not open (B9)', (field) => {
  const sealed = keys.seal('a secret value', ROW)
  expect(reasonOf(() => keys.unseal(sealed, { ...ROW, [field]: 'other' }))).toBe('TAMPERED')
  expect(reasonOf(() => keys.unseal(sealed, { ...ROW, version: 2 }))).toBe('TAMPERED')
})

test('a key that is not configured is told apart from a value that was changed; an older key opens and seals nothing (B9)', () => {
  const sealed = keys.seal('a secret value', ROW)
  const other = createSecretKeys('another key')
  expect(reasonOf(() => other.unseal(sealed, ROW))).toBe('UNKNOWN_KEY')
  expect(reasonOf(() => other.unseal({ ...sealed, keyId: other.currentId }, ROW))).toBe('TAMPERED')
  const rotated = createSecretKeys('another key', ['the current key of this test'])
  expect(rotated.unseal(sealed, ROW)).toBe('a secret value')
  expect(rotated.seal('x', ROW).keyId).toBe(other.currentId)
})

test.each([
  ...[
    '',
    '   ',
    'changeme',
    'CHANGE_ME',
    'change-me-please',
    'TODO',
    'todo: set it',
    'xxx',
    'xxxxxxxxxxxx',
    'sk-xxxxxxxxxxxxxxxx',
  ],
  ...[
    '<your-key>',
    'sk-your-key-here',
    'your_api_key',
    'my secret token',
    'REPLACE_ME',
    'placeholder',
    '${STRIPE_KEY}',
    '{{ key }}',
  ],
  ...[
    'password123',
    'secretsecret',
    'null',
    'undefined',
    'none none',
    '********',
    '••••••••',
    '[masked]',
    'example-api-key',
    'short',
  ],
  ...[
    'AKIAIOSFODNN7EXAMPLE',
    'aaaaaaaaaaaaaaaa',
    'abababababab',
    '12345678',
    'a'.repeat(5_000),
    'half \ud800 character',
    'nul \0 nul nul',
  ],
])('%j is no secret (B9)', (value) => {
  const mistake = mistakeOfSecretValue(value)
  expect(mistake).toBeTypeOf('string')
  // the words that the messages have are no secret
  if (value.length > 11) expect(mistake).not.toContain(value)
})

test.each([
  'sk_live_51H8x9ABCDEFghijk',
  ['postgres:', '', 'default:kR93jdQ1@db.example.com', 'app'].join('/'),
  'correct horse battery staple',
  'Tr0ub4dor&3',
])('%j may be one', (value) => {
  expect(mistakeOfSecretValue(value)).toBeUndefined()
})
