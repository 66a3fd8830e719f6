import { expect, test } from 'vitest'
import { validateDefinition } from '../../src/language/validate.ts'
import { allow, flowOf, step } from './example-definition.ts'

const withTriggers = (...triggers: unknown[]): Record<string, unknown> => ({ ...flowOf({ a: step() }), triggers })
const pattern = (more: object = {}): object => ({ type: 'pattern', name: 'p', pattern: 'hello', kind: 'infrastructure', ...more })
const issuesOf = (...triggers: unknown[]): string[] =>
  validateDefinition(withTriggers(...triggers), allow).issues.map(
    ({ code, path, hint }) => `${path.join('.')} ${code}${hint ? ` (${hint})` : ''}`,
  )

test('every problem of the triggers of a definition is told at once, each with its path (C3)', () => {
  const found = issuesOf(
    { type: 'patern', name: 'a' },
    pattern({ name: 'p 1', pattern: '(?=x)', priority: 101, cacheTtl: 'soon', costs: 1 }),
    pattern({ pattern: 'x*', kind: 'fast', input: { a: '${{ input.x }}', b: '${{ match.y }}', c: '${{ steps.a.output }}' } }),
    pattern(),
    { type: 'webhook', name: 'p', secret: 'my secret', input: { a: '${{ text }}' } },
    { type: 'webhook', name: 'w' },
    5,
  )
  expect(found.toSorted()).toEqual(
    [
      'triggers.0.type UNKNOWN_TRIGGER_TYPE (did you mean "pattern"?)',
      'triggers.1.name INVALID_NAME',
      'triggers.1.pattern INVALID_VALUE (patterns are RE2: no look-around)',
      'triggers.1.priority INVALID_VALUE',
      'triggers.1.cacheTtl INVALID_DURATION (like PT30S, PT1H30M or P7D; at most P3650D)',
      'triggers.1.costs UNKNOWN_FIELD (did you mean "cost"?)',
      'triggers.2.kind INVALID_VALUE',
      'triggers.4.name DUPLICATE',
      'triggers.4.secret INVALID_NAME',
      'triggers.4.input.a INVALID_EXPRESSION (expressions see body, delivery here)',
      'triggers.5.secret REQUIRED',
      'triggers.6 INVALID_TYPE',
    ].toSorted(),
  )
})

test.each([
  ['matches even no text', { pattern: 'x*' }, 'triggers.0.pattern INVALID_VALUE'],
  ['reads the input that it makes', { input: { a: '${{ input.x }}' } }, 'triggers.0.input.a INVALID_EXPRESSION'],
  ['reads a step', { input: { a: '${{ steps.a.output }}' } }, 'triggers.0.input.a UNKNOWN_STEP'],
  ['is kept for no time', { cacheTtl: 'PT0S' }, 'triggers.0.cacheTtl INVALID_DURATION'],
])('a pattern that %s is refused', (_, more, issue) => {
  expect(issuesOf(pattern(more)).map((found) => found.replace(/ \(.*/, ''))).toEqual([issue])
})

test('a flow has at most 50 triggers', () => {
  const many = Array.from({ length: 51 }, (_, i) => pattern({ name: `p${i}` }))
  expect(issuesOf(...many)).toEqual(['triggers TOO_LARGE'])
  expect(issuesOf(...many.slice(1))).toEqual([])
})

test('a definition keeps its triggers as they were written', () => {
  const triggers = [
    pattern({ pattern: '^recall (?P<question>.+)$', cost: 5, cacheTtl: 'PT1M', input: { question: '${{ match.question }}' } }),
    { type: 'webhook', name: 'hook', secret: 'hook_secret', input: { a: '${{ body.x }}', at: '${{ delivery.receivedAt }}' } },
  ]
  expect(validateDefinition(withTriggers(...triggers), allow).definition?.triggers).toEqual(triggers)
})
