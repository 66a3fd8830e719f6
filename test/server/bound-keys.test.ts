/** A body is bounded by the number of its keys too, which cost far more than their bytes. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { boundKeys, MAX_KEYS } from '../../src/server/bound-keys.ts'
import { codeOf, post, serve } from './test-server.ts'

const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [n.toString(36), 1]))
const refused = (json: string): boolean => {
  try {
    boundKeys(json)
    return false
  } catch {
    return true
  }
}

test('100,000 keys pass, one more is TOO_COMPLEX', { timeout: 30_000 }, () => {
  expect(refused(JSON.stringify(keys(MAX_KEYS)))).toBe(false)
  expect(refused(JSON.stringify(keys(MAX_KEYS + 1)))).toBe(true)
  expect(refused(`{"a":[${'{"k":1},'.repeat(MAX_KEYS)}0]}`)).toBe(true)
})

test('what stands in texts is no key, whatever it looks like', { timeout: 30_000 }, () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom('":', '\\', '"', ':', 'a', '{"k":1}', 'ü'), { minLength: 5 }), (parts) => {
      const text = parts.join('').repeat(Math.ceil((MAX_KEYS * 4) / parts.join('').length) + 1)
      return !refused(JSON.stringify({ [text]: text }))
    }),
    { numRuns: 20 },
  )
})

test('300,000 keys are refused by the door before they cost anything (D5)', { timeout: 30_000 }, async () => {
  const { url } = await serve()
  const answered = await post(url, '{ hello }', { token: 'user', variables: keys(300_000) })
  expect(answered.status).toBe(400)
  expect(codeOf(answered)).toBe('TOO_COMPLEX')

  const body = JSON.stringify({ query: '{ hello }', variables: keys(300_000) })
  const before = process.cpuUsage()
  expect(refused(body)).toBe(true)
  const { user, system } = process.cpuUsage(before)
  expect((user + system) / 1_000).toBeLessThan(200)
})
