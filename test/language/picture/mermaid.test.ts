import fc from 'fast-check'
import { expect, test } from 'vitest'
import { cleanText } from '../../../src/language/picture/fit-text.ts'
import { toMermaid } from '../../../src/language/picture/mermaid.ts'
import { drawable, withStatuses, type PictureGraph } from '../../../src/language/picture/picture-graph.ts'
import { anyGraph } from './arbitrary-graph.ts'

const WORDS = String.raw`(?:[\p{L}\p{N}_ ·]|#\d+;)+`
const LINE = new RegExp(
  `^  (?:${[
    String.raw`n\d+(?:\("${WORDS}<br>${WORDS}"\)|\{\{"${WORDS}<br>${WORDS}"\}\})`,
    String.raw`n\d+ (?:-->|-\.->)(?:\|"${WORDS}"\|)? n\d+`,
    String.raw`classDef [A-Z]+ fill:#[0-9a-f]{6},stroke:#[0-9a-f]{6},color:#[0-9a-f]{6}(?:,stroke-dasharray:5 4)?`,
    String.raw`class n\d+(?:,n\d+)* [A-Z]+`,
    String.raw`linkStyle \d+(?:,\d+)* stroke-width:3px`,
  ].join('|')})$`,
  'u',
)

test('whatever the graph, each line is one of five shapes, and names and labels are only ever text', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => {
      const lines = toMermaid(graph).split('\n')
      if (lines[0] === '---') {
        const [, title, end] = lines.splice(0, 3)
        expect(title).toMatch(/^title: "(?:[\p{L}\p{N} _.,-]|\\u[0-9a-f]{4})+"$/u)
        expect(JSON.parse(title!.slice('title: '.length))).toBe(cleanText(graph.title))
        expect(end).toBe('---')
      }
      expect(lines.shift()).toBe('flowchart TD')
      expect(lines.pop()).toBe('')
      for (const line of lines) expect(line).toMatch(LINE)
      const { nodes, edges } = drawable(graph)
      expect(lines.filter((line) => / -[-.]+> ?/.test(line) || /-->\|/.test(line))).toHaveLength(edges.length)
      expect(lines.filter((line) => line.includes('<br>'))).toHaveLength(nodes.length)
    }),
  )
})

test('an execution in Mermaid: routes by name, dotted joins, a class a status', () => {
  const graph: PictureGraph = {
    title: 'order "7"',
    nodes: [
      { name: 'end', type: 'route' },
      { name: 'pay', type: 'agent', detail: 'cto' },
      { name: 'tell', type: 'notify', join: 'any' },
    ],
    edges: [
      { from: 'end', to: 'pay', kind: 'route', label: 'a|b' },
      { from: 'pay', to: 'tell', kind: 'any' },
    ],
  }
  expect(toMermaid(withStatuses(graph, { end: { status: 'SUCCEEDED', route: 'a|b' }, pay: { status: 'FAILED' } }))).toBe(
    [
      '---',
      String.raw`title: "order \u00227\u0022"`,
      '---',
      'flowchart TD',
      '  n0{{"end<br>route · Succeeded"}}',
      '  n1("pay<br>agent · cto · Failed")',
      '  n2("tell<br>notify · after any · Pending")',
      '  n0 -->|"a#124;b"| n1',
      '  n1 -.-> n2',
      '  classDef PENDING fill:#f8fafc,stroke:#7c8798,color:#56606f',
      '  classDef SUCCEEDED fill:#e4f6ee,stroke:#0a7d57,color:#086b4a',
      '  classDef FAILED fill:#feecea,stroke:#c5301f,color:#ad2717',
      '  class n2 PENDING',
      '  class n0 SUCCEEDED',
      '  class n1 FAILED',
      '  linkStyle 0 stroke-width:3px',
      '',
    ].join('\n'),
  )
})

test('the same graph gives the same text', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => {
      expect(toMermaid(structuredClone(graph))).toBe(toMermaid(graph))
    }),
  )
})
