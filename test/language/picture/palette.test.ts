import { expect, test } from 'vitest'
import { PICTURE_STATUSES } from '../../../src/language/picture/picture-graph.ts'
import { PLAIN, STATUS_LOOK, SURFACE, TYPE_LOOK } from '../../../src/language/picture/palette.ts'

/** Relative luminance and contrast as WCAG 2 defines them. */
function luminance(colour: string): number {
  expect(colour).toMatch(/^#[0-9a-f]{6}$/)
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255
    return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
}
function contrast(a: string, b: string): number {
  const [low, high] = [luminance(a), luminance(b)].toSorted((x, y) => x - y)
  return (high! + 0.05) / (low! + 0.05)
}

test.each(PICTURE_STATUSES)('%s has colours, a word and a mark of its own', (status) => {
  const others = PICTURE_STATUSES.filter((each) => each !== status).map((each) => STATUS_LOOK[each])
  for (const scheme of ['light', 'dark'] as const)
    expect(others.map((look) => look[scheme].line)).not.toContain(STATUS_LOOK[status][scheme].line)
  expect(others.map((look) => look.word)).not.toContain(STATUS_LOOK[status].word)
  expect(others.map((look) => look.mark)).not.toContain(STATUS_LOOK[status].mark)
})

test.each(['light', 'dark'] as const)('in %s every word has a contrast of 4.5 and every border, line and mark of 3', (scheme) => {
  const surface = SURFACE[scheme]
  for (const ground of [surface.card, surface.node, ...PICTURE_STATUSES.map((status) => STATUS_LOOK[status][scheme].fill)]) {
    expect(contrast(surface.text, ground)).toBeGreaterThanOrEqual(4.5)
    expect(contrast(surface.quiet, ground)).toBeGreaterThanOrEqual(4.5)
  }
  expect(contrast(surface.quiet, surface.pill)).toBeGreaterThanOrEqual(4.5)
  expect(contrast(surface.card, surface.taken)).toBeGreaterThanOrEqual(4.5)
  expect(contrast(surface.border, surface.card)).toBeGreaterThanOrEqual(3)
  expect(contrast(surface.line, surface.card)).toBeGreaterThanOrEqual(3)
  for (const status of PICTURE_STATUSES) {
    const { fill, line, ink } = STATUS_LOOK[status][scheme]
    expect(contrast(ink, fill), status).toBeGreaterThanOrEqual(4.5)
    expect(contrast(line, fill), status).toBeGreaterThanOrEqual(3)
    expect(contrast(line, surface.card), status).toBeGreaterThanOrEqual(3)
  }
  for (const look of [...Object.values(TYPE_LOOK), PLAIN])
    expect(contrast(look[scheme].ink, look[scheme].fill)).toBeGreaterThanOrEqual(3)
})
