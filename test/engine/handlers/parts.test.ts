import fc from 'fast-check'
import { expect, test } from 'vitest'
import { childEnvironment } from '../../../src/engine/handlers/child-environment.ts'
import { DueTimer } from '../../../src/engine/handlers/due-timer.ts'
import { findHandlers } from '../../../src/engine/handlers/find-handlers.ts'
import { checkedOutput, failed, thrown } from '../../../src/engine/handlers/handler-outcome.ts'

test('the environment of handler processes has the usual names and those asked for, never a secret of Sluice', () => {
  const environment = { PATH: '/bin', HOME: '/h', SLUICE_JWT_SECRET: 's', DATABASE_URL: 'd', STRIPE_KEY: 'k', EMPTY: undefined }
  expect(childEnvironment(environment)).toEqual({ PATH: '/bin', HOME: '/h' })
  expect(childEnvironment(environment, ['STRIPE_KEY', 'EMPTY', 'MISSING'])).toEqual({ PATH: '/bin', HOME: '/h', STRIPE_KEY: 'k' })
  expect(() => childEnvironment(environment, ['DATABASE_URL', 'STRIPE_KEY', 'SLUICE_JWT_SECRET', 'REDIS_URL'])).toThrow(
    'SLUICE_HANDLER_ENV must not name DATABASE_URL, SLUICE_JWT_SECRET, REDIS_URL',
  )
})

test('whatever is thrown becomes a failure with a bounded, storable message', () => {
  const nasty = fc.array(fc.constantFrom('a', 'ä', '\0', '\ud800', '\udc00', '😀'), { maxLength: 30 })
  const errors = nasty.map((parts) => new Error(parts.join('').repeat(100)))
  fc.assert(
    fc.property(fc.oneof(fc.anything({ maxDepth: 2 }), errors), (error) => {
      const { code, message } = thrown(error)
      expect(code).toBe('STEP_FAILED')
      expect(message.length).toBeLessThanOrEqual(2_000)
      expect(message.isWellFormed() && !message.includes('\0')).toBe(true)
    }),
  )
  expect(thrown(new TypeError(''))).toEqual(failed('STEP_FAILED', 'TypeError'))
})

test('any JSON that fits comes through checkedOutput unchanged', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const outcome = checkedOutput(value, 1_000_000)
      if (outcome.ok) expect(outcome).toEqual({ ok: true, text: JSON.stringify(value), bytes: Buffer.byteLength(outcome.text) })
      else expect(outcome.code).toBe('UNSTORABLE_OUTPUT')
    }),
  )
})

test("exports that are not objects with run are the module's own business", () => {
  const handler = { name: 'a', run: () => 1 }
  expect(findHandlers({ default: handler, again: handler, limit: 3, helper: () => 1, none: null })).toEqual({
    handlers: [{ name: 'a', inline: false, exportName: 'default' }],
    problems: [],
  })
})

test('deadlines come due in order of time, once each, and removed ones never', async () => {
  const timer = new DueTimer()
  const now = performance.now()
  const seen: string[] = []
  await new Promise<void>((resolve) => {
    const add = (name: string, afterMs: number, then = () => {}) => {
      const item = { dueAt: now + afterMs, due: () => (seen.push(name), then()) }
      timer.add(item)
      return item
    }
    timer.delete(add('removed', 10))
    add('second', 50, () => add('added meanwhile', 70, resolve))
    add('first', 20)
    add('overdue', -10)
    add('far away', 1e12)
    add('never', Infinity)
  })
  expect(seen).toEqual(['overdue', 'first', 'second', 'added meanwhile'])
})
