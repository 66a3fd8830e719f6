/** Requirements and tests know each other: docs/requirements.md is complete, and what is said to be proven is. */
import { expect, test } from 'vitest'
import { readRequirements, withProofs } from './requirement-list.ts'
import { read } from './source-files.ts'
import { provenBy } from './titles.ts'

const COUNTS = { A: 16, B: 17, C: 11, D: 10, E: 7 }
const ALL = Object.entries(COUNTS).flatMap(([letter, count]) => Array.from({ length: count }, (_, at) => `${letter}${at + 1}`))
/** Measured, not tested. */
const BENCHED = ['C10', 'D10']

const text = read('docs/requirements.md')
const requirements = readRequirements(text)
const proofs = provenBy()

test('the list has every requirement once, in order', () => {
  expect(requirements.map(({ id }) => id)).toEqual(ALL)
})

test('an id in a title is one of the list', () => {
  expect([...proofs.keys()].filter((id) => !ALL.includes(id))).toEqual([])
})

test('the list names the tests that carry each id; `npm run requirements` writes it', () => {
  const right = new Map(readRequirements(withProofs(text, proofs)).map((item) => [item.id, item.proofs]))
  const wrong = requirements.filter((item) => item.proofs !== right.get(item.id))
  expect(
    wrong.map(({ id }) => id),
    'out of date: run `npm run requirements`',
  ).toEqual([])
})

test('a requirement is proven by a test, or comes later', () => {
  const open = requirements.filter(({ id, later }) => !proofs.has(id) && later === undefined && !BENCHED.includes(id))
  expect(open.map(({ id, what }) => `${id}: ${what}`)).toEqual([])
})

test('the list is read as it is written', () => {
  const item = '- **A1** What.\n- **A2** More. Later: fleet.\n'
  expect(readRequirements(item)).toEqual([
    { id: 'A1', what: 'What.', proofs: '' },
    { id: 'A2', what: 'More. Later: fleet.', later: 'fleet', proofs: '' },
  ])
  const proven = withProofs(item, new Map([['A1', ['test/a.test.ts', 'test/b.faults.ts']]]))
  expect(proven).toBe('- **A1** What.\n  `a.test.ts`, `b.faults.ts`\n- **A2** More. Later: fleet.\n')
  expect(withProofs(proven, new Map())).toBe(item)
})
