import fc from 'fast-check'
import { expect, test } from 'vitest'
import { MASK } from '../../src/masking/mark.ts'
import { maskJson, maskText } from '../../src/masking/mask.ts'
import { addPlace } from '../../src/masking/places.ts'
import { formsOf } from '../../src/masking/secret-forms.ts'
import { isSecretName } from '../../src/masking/secret-names.ts'
import { TextPatterns } from '../../src/masking/text-patterns.ts'

const SECRET = 'p/4+ "Q" ä~\nZ!9&k'
const rules = { patterns: new TextPatterns(formsOf(SECRET)) }

test.each([
  ['as it is', SECRET],
  ['inside a text', `before ${SECRET}`],
  ['as JSON', JSON.stringify({ a: SECRET })],
  ['as JSON in JSON', JSON.stringify(JSON.stringify({ a: SECRET }))],
  ['as JSON in ASCII', String.raw`p/4+ \"Q\" \u00e4~\nZ!9&k`],
  ['in a URL', `https://x/?key=${encodeURIComponent(SECRET)}`],
  ['in a form', new URLSearchParams({ key: SECRET }).toString()],
  ['in a URL in small letters', encodeURIComponent(SECRET).toLowerCase().replace('q', 'Q').replace('z', 'Z')],
  ['in HTML', 'p/4+ &quot;Q&quot; ä~\nZ!9&amp;k'],
  ['in hex', Buffer.from(SECRET).toString('hex')],
  ['in Base64', Buffer.from(SECRET).toString('base64')],
  ['in Base64 for URLs', Buffer.from(SECRET).toString('base64url')],
])('a secret is masked %s (B9)', (_how, text) => {
  const masked = maskText(text, rules)
  expect(masked).toContain(MASK)
  expect(masked).not.toContain(text.slice(-6))
  expect(maskText(masked, rules)).toBe(masked)
})

test('Base64 of a longer text shows nothing of the secret in it, wherever it stands (B9)', () => {
  const texts = [fc.string({ minLength: 12, maxLength: 40 }), fc.string({ maxLength: 9 }), fc.string({ maxLength: 9 })] as const
  const hidden = (secret: string, before: string, after: string): void => {
    const encoded = Buffer.from(before + secret + after).toString('base64')
    const masked = maskText(encoded, { patterns: new TextPatterns(formsOf(secret)) })
    expect(masked).toContain(MASK)
    // two characters at each side depend on the neighbours too
    const around = Buffer.byteLength(before) + Buffer.byteLength(after)
    expect(masked.replaceAll(MASK, '').length).toBeLessThanOrEqual(Math.ceil((around * 4) / 3) + 8)
  }
  fc.assert(fc.property(...texts, hidden))
})

test('values are masked in values, keys and numbers, with where they stood', () => {
  const patterns = new TextPatterns(formsOf('12345678'))
  const given = { list: ['a', 'x12345678y'], 'k/12345678': 1, number: 12345678, small: 1234, none: null }
  expect(maskJson(given, { patterns })).toEqual({
    value: { list: ['a', `x${MASK}y`], [`k/${MASK}`]: 1, number: MASK, small: 1234, none: null },
    redacted: ['/list/1', '/number'],
  })
})

test('texts under names of secrets are masked; what the names only resemble is not (C6)', () => {
  const given = {
    headers: { Authorization: 'Bearer x', 'X-Api-Key': 'k', accept: 'all' },
    db_password: 'p',
    refreshToken: 't',
    cookies: ['a', 'b'],
    page_token: 'next',
    tokens_used: 5,
    secret: { nested: 'visible' },
    password: '',
  }
  const { value, redacted } = maskJson(given, {}, '/output')
  expect(value).toEqual({
    ...given,
    headers: { Authorization: MASK, 'X-Api-Key': MASK, accept: 'all' },
    ...{ db_password: MASK, refreshToken: MASK, cookies: [MASK, MASK] },
  })
  expect(redacted).toContain('/output/headers/X-Api-Key')
})

test('places are masked whole, by key, by index and everywhere in a list', () => {
  const places = addPlace(addPlace(addPlace({}, ['a', 'b']), ['list', '*', 'x']), ['list', '1', 'y'])
  const given = {
    a: { b: { deep: [1] }, c: 1 },
    list: [
      { x: 1, y: 2 },
      { x: 3, y: 4 },
    ],
    other: null,
  }
  expect(maskJson(given, { places })).toEqual({
    value: {
      a: { b: MASK, c: 1 },
      list: [
        { x: MASK, y: 2 },
        { x: MASK, y: MASK },
      ],
      other: null,
    },
    redacted: ['/a/b', '/list/0/x', '/list/1/x', '/list/1/y'],
  })
})

test('what has nothing to mask is the very same value', () => {
  const same = (value: unknown): void => {
    fc.pre(!/pass|pwd|secret|token|key|jwt|cookie|credential|authorization|bearer/i.test(JSON.stringify(value)))
    const masked = maskJson(value, rules)
    expect(masked.redacted).toEqual([])
    expect(masked.value).toBe(value)
  }
  fc.assert(fc.property(fc.jsonValue(), same))
})

test('a key that reaches a prototype stays a key', () => {
  const given: unknown = JSON.parse(`{"__proto__":{"password":"x"}}`)
  const { value } = maskJson(given, {})
  expect(JSON.stringify(value)).toBe(`{"__proto__":{"password":"${MASK}"}}`)
  expect(({} as { password?: string }).password).toBeUndefined()
})

test('names of secrets', () => {
  for (const name of ['password', 'DB_PASSWORD', 'x-api-key', 'clientSecret', 'Set-Cookie', 'token'])
    expect(isSecretName(name)).toBe(true)
  for (const name of ['next_page_token', 'secretary', 'key', 'passenger', 'authorized', 'tokens'])
    expect(isSecretName(name)).toBe(false)
})
