/** Graphs of any shape, with any strings: also cycles, doubles, edges into nowhere, and text that tries to be more than text. */
import fc from 'fast-check'
import { PICTURE_STATUSES, type PictureGraph } from '../../../src/language/picture/picture-graph.ts'

export const HOSTILE = [
  '<script>alert(1)</script>',
  '"><g onload="alert(1)">',
  ']]><!--',
  '&lt;&#0;&amp',
  '%%{init: {"theme":"dark"}}%%',
  'x"]; click n0 "javascript:alert(1)"',
  '---\ntitle: other\n---\nflowchart LR',
  'end',
  '__proto__',
  'constructor',
  '\u0000\u0008\uFFFF\uFFFE\uD800',
  '\u202Egnp.exe',
  '👩‍👩‍👧‍👦 family',
  'ﬂ°°34¶ß #quot; `**b**` $$x$$',
  '',
]

const text = fc.oneof(
  { weight: 3, arbitrary: fc.stringMatching(/^[a-z_]{1,30}$/) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) },
  { weight: 2, arbitrary: fc.constantFrom(...HOSTILE) },
  { weight: 1, arbitrary: fc.string({ minLength: 300, maxLength: 2_000 }) },
)
const type = fc.oneof(fc.constantFrom('transform', 'route', 'agent', 'notify', 'wait', 'handler', 'fail'), text)
const node = fc.record(
  { name: text, type, status: fc.constantFrom(...PICTURE_STATUSES), detail: text, join: text },
  { requiredKeys: ['name', 'type'] },
)

export const anyGraph: fc.Arbitrary<PictureGraph> = fc.array(node, { maxLength: 40 }).chain((nodes) => {
  const end =
    nodes.length === 0 ? text : fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...nodes.map(({ name }) => name)) }, text)
  const plain = fc.record(
    { from: end, to: end, kind: fc.constantFrom('all' as const, 'any' as const, 'failure' as const) },
    { noNullPrototype: true },
  )
  const route = fc.record({ from: end, to: end, kind: fc.constant('route' as const), label: text, taken: fc.boolean() })
  return fc.record({ title: text, nodes: fc.constant(nodes), edges: fc.array(fc.oneof(plain, route), { maxLength: 60 }) })
})

/** A flow of `count` steps, each after a few of the 20 before it; the same for the same seed. */
export function largeGraph(count: number, edges: number, seed = 7): PictureGraph {
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return (state >> 8) % below
  }
  return {
    title: 'large',
    nodes: Array.from({ length: count }, (_, i) => ({ name: `step_${i}`, type: 'handler', detail: 'ledger.import' })),
    edges: Array.from({ length: edges }, () => {
      const to = 1 + random(count - 1)
      return { from: `step_${Math.max(0, to - 1 - random(20))}`, to: `step_${to}`, kind: 'all' as const }
    }),
  }
}
