/** Finding patterns: what is left out never matches, and what is tried is little. */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compileRegex } from '../../src/language/regex.ts'
import { createPattern, createPatternSet } from '../../src/triggers/patterns/pattern-set.ts'
import { fold, requiredTexts } from '../../src/triggers/patterns/required-texts.ts'
import { createTextAutomaton } from '../../src/triggers/patterns/text-automaton.ts'

test.each<[string, readonly string[] | undefined]>([
  ['recall (?P<what>.+)', ['recall ']],
  ['^(?i)Deploy\\b the Site$', ['deploy the site']],
  ['(start|stop|restart) job', [' job']],
  ['(?:alpha|beta)', ['alpha', 'beta']],
  ['(?:alpha|.*)', undefined],
  ['\\d+', undefined],
  ['colou?r', ['colo']],
  ['ab*cd+e', ['a']],
  ['ab*cdd*e', ['cd']],
  ['(?:hello ){2}x', ['hello ']],
  ['x{0,3}yz', ['yz']],
  ['a\\.b\\$', ['a.b$']],
  ['[]a]bc[^]x]', ['bc']],
  ['[[:alpha:]]wo', ['wo']],
  ['(?i)stra\u00dfe', ['stra']],
  ['stra\u00dfe', ['stra\u00dfe']],
  ['(?i:BIG) small', ['big small']],
  ['\\Qa.b\\E', undefined],
  ['a(?i){0,1}b', undefined],
  ['\\x41', undefined],
  ['a{,3}bc', ['a{,3}bc']],
])('a text that %s matches holds one of %j', (pattern, texts) => {
  expect(compileRegex(pattern).ok).toBe(true)
  expect(requiredTexts(pattern)).toEqual(texts)
})

/** Patterns of everything that the reader knows, and some that it does not. */
const { pattern: patterns } = fc.letrec<{ pattern: string; atom: string; piece: string }>((tie) => ({
  pattern: fc
    .array(fc.array(tie('piece'), { minLength: 1, maxLength: 3 }), { minLength: 1, maxLength: 2 })
    .map((branches) => branches.map((pieces) => pieces.join('')).join('|')),
  piece: fc
    .tuple(tie('atom'), fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{0,1}', '{1,}', '+?', '{x'))
    .map((parts) => parts.join('')),
  atom: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    fc.constantFrom('a', 'b', 'k', 's', 'ab'),
    fc.constantFrom(
      'a',
      'b',
      'K',
      's',
      'ſ',
      '\u212a',
      'ä',
      ' ',
      'ab',
      '.',
      '\\d',
      '\\.',
      '[ab]',
      '[^a]',
      '\\b',
      '^',
      '$',
      '\\pL',
      '\\x41',
      '(?i)',
    ),
    tie('pattern').map((inner) => `(${inner})`),
    tie('pattern').map((inner) => `(?i:${inner})`),
    tie('pattern').map((inner) => `(?P<g>${inner})`),
  ),
}))
const texts = fc.string({
  unit: fc.constantFrom('a', 'b', 'A', 'B', 'k', 'K', 's', 'S', 'ſ', '\u212a', 'ä', 'Ä', ' ', '1', '.'),
  minLength: 5,
  maxLength: 40,
})

test('whatever matches holds what its pattern requires', () => {
  let matched = 0
  fc.assert(
    fc.property(patterns, fc.array(texts, { minLength: 1, maxLength: 5 }), (pattern, some) => {
      const compiled = compileRegex(pattern)
      const required = requiredTexts(pattern)
      if (!compiled.ok || !required) return
      for (const text of some) {
        if (!compiled.regex.test(text)) continue
        matched++
        expect(required.some((word) => fold(text).includes(word))).toBe(true)
      }
    }),
    { numRuns: 3_000 },
  )
  expect(matched).toBeGreaterThan(200)
})

test('the automaton finds exactly the words that a text holds', () => {
  const words = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), minLength: 1, maxLength: 5 }), { maxLength: 12 })
  const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', 'd'), maxLength: 40 })
  fc.assert(
    fc.property(words, text, (wanted, where) => {
      const found = new Set<number>()
      createTextAutomaton(wanted).search(where, (word) => found.add(word))
      const held = wanted.flatMap((word, place) => (where.includes(word) ? [place] : []))
      expect([...found].toSorted((a, b) => a - b)).toEqual(held)
    }),
  )
})

test('of a thousand patterns only those are tried that may match (C11)', () => {
  const set = createPatternSet(
    Array.from({ length: 1_000 }, (_, i) =>
      createPattern({
        id: `${i}`,
        flowId: 'f',
        definition: { type: 'pattern', name: `p${i}`, pattern: `(?i)^deploy service_${i} to (?P<where>\\w+)`, kind: 'agent' },
      }),
    ),
  )
  const names = (text: string): string[] => set.candidates(text).map(({ definition }) => definition.name)
  expect(names('Deploy service_712 to production')).toEqual(['p712'])
  expect(names('What is the weather?')).toEqual([])
  const [pattern] = set.candidates('Deploy Service_5 to Paris')
  expect(pattern!.find('Deploy Service_5 to Paris')).toEqual({ length: 25, groups: { where: 'Paris' } })
})
