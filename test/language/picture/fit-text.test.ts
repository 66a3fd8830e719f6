import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cleanText, escapeXml, fitText, textWidth } from '../../../src/language/picture/fit-text.ts'

test('a text that fits stays; a longer one is its beginning with an ellipsis, and fits', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 80 }).map(cleanText), fc.integer({ min: 1, max: 40 }), (text, width) => {
      const fitted = fitText(text, width)
      expect(textWidth(fitted)).toBeLessThanOrEqual(Math.max(width, textWidth('…')))
      if (fitted !== text) expect(text.startsWith(fitted.slice(0, -1))).toBe(true)
    }),
  )
})

test('what people see as one character is not torn apart', () => {
  expect(fitText('👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 5)).toMatch(/^(👩‍👩‍👧‍👦)*…$/u)
  expect(fitText('e\u0301e\u0301e\u0301e\u0301', 2)).toMatch(/^(e\u0301)*…$/)
})

test('control characters and line ends become blanks; what turns directions or is not XML goes', () => {
  expect(cleanText(' a\r\n\tb\u0000c\u202Ed\uFFFFe\uD800 ')).toBe('a b cde\uFFFD')
  expect(cleanText('x'.repeat(10_000))).toHaveLength(400)
})

test('escaped text holds nothing that XML would read as markup', () => {
  expect(escapeXml(`<a b="c" d='e'>&`)).toBe('&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;')
})
