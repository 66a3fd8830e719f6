import fc from 'fast-check'
import { SaxesParser } from 'saxes'
import { expect, test } from 'vitest'
import { cpuMs } from '../../harness/cpu-time.ts'
import { toSvg } from '../../../src/language/picture/svg.ts'
import { PICTURE_STATUSES, withStatuses, type PictureGraph } from '../../../src/language/picture/picture-graph.ts'
import { STATUS_LOOK } from '../../../src/language/picture/palette.ts'
import { anyGraph, HOSTILE, largeGraph } from './arbitrary-graph.ts'

const ELEMENTS = new Set(['svg', 'title', 'desc', 'style', 'g', 'rect', 'circle', 'path', 'text', 'tspan'])
const ATTRIBUTES = new Set(
  (
    'xmlns class role width height viewBox font-family font-size font-weight text-anchor transform d x y r rx fill stroke ' +
    'stroke-width stroke-linecap stroke-linejoin stroke-dasharray'
  ).split(' '),
)

/** Parses as strict XML, throws at the first mistake; gives back the attributes by element and the text of each title. */
function parse(svg: string) {
  const elements: { name: string; attributes: Record<string, string> }[] = []
  const open: string[] = []
  const text: Record<string, string[]> = {}
  const parser = new SaxesParser()
  parser.on('error', (error) => {
    throw error
  })
  parser.on('opentag', ({ name, attributes }) => {
    open.push(name)
    elements.push({ name, attributes })
  })
  parser.on('closetag', () => void open.pop())
  parser.on('text', (found) => void (text[open.at(-1)!] ??= []).push(found))
  parser.write(svg).close()
  return { elements, text }
}

test('whatever the graph, its SVG is well-formed, and only shapes and text: no scripts, handlers, references (A16)', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => {
      const svg = toSvg(graph)
      const { elements, text } = parse(svg)
      for (const { name, attributes } of elements) {
        expect(ELEMENTS).toContain(name)
        for (const [key, value] of Object.entries(attributes)) {
          expect(ATTRIBUTES).toContain(key)
          if (key !== 'xmlns') expect(value).not.toMatch(/url\(|:\/\/|javascript:/i)
        }
      }
      expect(text['style']?.join('')).toMatch(
        /^@media \(prefers-color-scheme:dark\)\{(\.sluice-picture \.[\w-]+\{[a-z:#0-9;]+\})*\}$/,
      )
      expect(svg).not.toMatch(/<script|<!|<\?/i)
      expect(svg.isWellFormed()).toBe(true)
    }),
  )
})

test('a name that tries to be markup is shown as the text that it is', () => {
  const nodes = HOSTILE.map((name) => ({ name, type: 'agent', detail: name }))
  const { text } = parse(toSvg({ title: HOSTILE[0]!, nodes, edges: [] }))
  expect(text['title']).toContain('<script>alert(1)</script>')
  expect(text['title']).toContain('"><g onload="alert(1)">: agent, "><g onload="alert(1)">')
})

test('the same graph gives the same bytes', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => {
      expect(toSvg(structuredClone(graph))).toBe(toSvg(graph))
    }),
  )
})

test('a picture has a title, a description and a viewBox, and says in words how each step stands', () => {
  const graph: PictureGraph = {
    title: 'close & report',
    nodes: [
      { name: 'collect', type: 'handler', detail: 'ledger' },
      { name: 'tell', type: 'notify', join: 'any' },
    ],
    edges: [{ from: 'collect', to: 'tell', kind: 'any' }],
  }
  const { elements, text } = parse(toSvg(withStatuses(graph, { collect: { status: 'RUNNING' } })))
  expect(elements[0]?.attributes).toMatchObject({ role: 'img', viewBox: expect.stringMatching(/^0 0 \d+ \d+$/) })
  expect(text['title']?.[0]).toBe('close & report')
  expect(text['desc']?.[0]).toBe('2 steps. collect: handler, running, ledger. tell: notify, pending, after any.')
  expect(text['tspan']).toEqual(['Running', 'Pending'])
})

test('each status is told by a word and a mark besides its colour, and the legend counts it', () => {
  for (const status of PICTURE_STATUSES) {
    const graph: PictureGraph = { title: 't', nodes: [{ name: 'a', type: 'wait', status }], edges: [] }
    const { elements, text } = parse(toSvg(graph))
    const marks = elements.filter(({ attributes }) => attributes['d'] === STATUS_LOOK[status].mark)
    expect(marks).toHaveLength(2)
    expect(text['tspan']).toEqual([STATUS_LOOK[status].word])
    expect(text['text']).toContain(`${STATUS_LOOK[status].word} 1`)
  }
})

test('the picture of a flow has no legend', () => {
  const svg = toSvg(largeGraph(3, 2))
  for (const status of PICTURE_STATUSES) expect(svg).not.toContain(STATUS_LOOK[status].word)
})

test('a name too long for its box is shortened, and told in full by its tooltip', () => {
  const name = 'merge_all_regions_into_the_consolidated_group_ledger'
  const { text } = parse(toSvg({ title: 't', nodes: [{ name, type: 'transform' }], edges: [] }))
  expect(text['text']?.some((shown) => shown.startsWith('merge_all') && shown.endsWith('…'))).toBe(true)
  expect(text['title']).toContain(`${name}: transform`)
})

test('what was taken lies over what was not', () => {
  const graph = withStatuses(
    {
      title: 't',
      nodes: ['a', 'b', 'c'].map((name) => ({ name, type: 'route' })),
      edges: [
        { from: 'a', to: 'b', kind: 'route', label: 'yes' },
        { from: 'a', to: 'c', kind: 'route', label: 'no' },
      ],
    },
    { a: { status: 'SUCCEEDED', route: 'yes' }, b: { status: 'RUNNING' }, c: { status: 'SKIPPED' } },
  )
  const looks = parse(toSvg(graph)).elements.flatMap(({ attributes }) => attributes['class']?.match(/^line-\w+/) ?? [])
  expect(looks).toEqual(['line-faint', 'line-faint', 'line-taken', 'line-taken'])
})

test('500 steps are drawn in under 300 ms of processor time', () => {
  const graph = largeGraph(500, 1_000)
  const times = [1, 2, 3, 4].map(() => {
    const before = cpuMs()
    toSvg(graph)
    return cpuMs() - before
  })
  expect(Math.min(...times)).toBeLessThan(300)
})

test('no graph makes a picture over 6 MB, and what was left out is told', () => {
  const long = '"'.repeat(5_000)
  const { nodes, edges } = largeGraph(2_000, 9_000)
  const svg = toSvg({ title: long, nodes: nodes.map((node) => ({ ...node, detail: long, join: long })), edges })
  expect(svg.length).toBeLessThan(6_000_000)
  expect(svg).toMatch(/Not shown: 1000 steps, \d+ connections/)
})
