import fc from 'fast-check'
import { expect, test } from 'vitest'
import { layer, type Item } from '../../../src/language/picture/layered-graph.ts'
import { layOut, type Box } from '../../../src/language/picture/layout.ts'
import { countCrossings, orderItems } from '../../../src/language/picture/order-items.ts'
import { drawable, type PictureGraph } from '../../../src/language/picture/picture-graph.ts'
import { anyGraph, largeGraph } from './arbitrary-graph.ts'

const laidOut = (graph: PictureGraph) => {
  const { nodes, edges } = drawable(graph)
  return { nodes, edges, layout: layOut(nodes, edges) }
}
const overlap = (a: Box, b: Box) =>
  Math.abs(a.x - b.x) < (a.width + b.width) / 2 && Math.abs(a.y - b.y) < (a.height + b.height) / 2

/** Points along a path of the commands that lines use: M, V, v and C, all absolute but v. */
function* along(path: string): Generator<{ x: number; y: number }> {
  let [x, y] = [0, 0]
  for (const [, command, rest] of path.matchAll(/([MVvC])([^MVvC]*)/g)) {
    const n = rest!.trim().split(/[ ,]+/).map(Number)
    if (command === 'M') [x, y] = [n[0]!, n[1]!]
    else if (command === 'C') {
      const [x1, y1, x2, y2, x3, y3] = n as [number, number, number, number, number, number]
      for (let t = 0; t <= 1; t += 0.125) {
        const [a, b, c, d] = [(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t ** 3]
        yield { x: a * x + b * x1 + c * x2 + d * x3, y: a * y + b * y1 + c * y2 + d * y3 }
      }
      ;[x, y] = [x3, y3]
    } else {
      const end = command === 'V' ? n[0]! : y + n[0]!
      for (let t = 0; t <= 1; t += 0.25) yield { x, y: y + (end - y) * t }
      y = end
    }
  }
}

test('whatever the graph, each step has one box and no boxes overlap, labels included', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => {
      const { nodes, layout } = laidOut(graph)
      expect(layout.nodes.map((box) => box.node.name).toSorted()).toEqual(nodes.map((node) => node.name).toSorted())
      const boxes: Box[] = [...layout.nodes, ...layout.pills]
      boxes.forEach((a, i) => boxes.slice(i + 1).forEach((b) => expect(overlap(a, b)).toBe(false)))
      for (const { x, y, width, height } of boxes) {
        expect(Math.min(x - width / 2, y - height / 2)).toBeGreaterThanOrEqual(-0.5)
        expect(x + width / 2).toBeLessThanOrEqual(layout.width + 0.5)
        expect(y + height / 2).toBeLessThanOrEqual(layout.height + 0.5)
      }
    }),
  )
})

test('whatever the graph, every edge leads from its step to its step, past its own label and no other step', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => {
      const { nodes, edges } = drawable(graph)
      const { layers, strays } = layer(nodes, edges)
      const at = new Map(layers.flat().flatMap((item) => (item.node ? [[item.node.name, item]] : [])))
      const next = (item: Item) => [...item.down, ...strays.filter((link) => link.from === item)].map((link) => link.to)
      for (const { from, to, label } of edges) {
        let reached = new Set(next(at.get(from)!).filter((item) => item.kind !== 'pill' || item.text === label))
        if (label !== undefined) reached = new Set([...reached].filter((item) => item.kind === 'pill').flatMap(next))
        for (const item of reached) if (item.kind === 'bend') next(item).forEach((each) => reached.add(each))
        expect(reached.has(at.get(to)!)).toBe(true)
      }
    }),
  )
})

test('no line crosses a step, except what goes backwards', () => {
  const forward = anyGraph.map((graph) => {
    const position = new Map(graph.nodes.map(({ name }, i) => [name, i]))
    return { ...graph, edges: graph.edges.filter(({ from, to }) => (position.get(from) ?? 0) < (position.get(to) ?? 0)) }
  })
  const isClear = (graph: PictureGraph) => {
    const { layout } = laidOut(graph)
    for (const { path } of layout.lines) {
      for (const point of along(path)) {
        const hit = layout.nodes.find((box) =>
          overlap({ ...point, width: 0, height: 0 }, { ...box, width: box.width - 1, height: box.height - 1 }),
        )
        expect(hit?.node.name).toBe(undefined)
      }
    }
  }
  fc.assert(fc.property(forward, isClear))
  isClear(largeGraph(60, 90))
})

test('a fan of hundreds is wrapped into rows, evenly', () => {
  const nodes = Array.from({ length: 300 }, (_, i) => ({ name: `s${i}`, type: 'handler' }))
  const edges = nodes.slice(1, -1).flatMap(({ name }) => [
    { from: 's0', to: name, kind: 'all' as const },
    { from: name, to: 's299', kind: 'all' as const },
  ])
  const layout = layOut(nodes, edges)
  expect(layout.width / layout.height).toBeLessThan(2.5)
  const rows = Map.groupBy(layout.nodes, (box) => box.y)
  expect(rows.size).toBe(19)
  expect(Math.max(...[...rows.values()].map((row) => row.length))).toBe(18)
})

test('the steps of a plain sequence stand straight below each other', () => {
  const nodes = Array.from({ length: 9 }, (_, i) => ({ name: `s${i}`, type: 'handler' }))
  const layout = layOut(
    nodes,
    nodes.slice(1).map(({ name }, i) => ({ from: `s${i}`, to: name, kind: 'all' as const })),
  )
  expect(new Set(layout.nodes.map((box) => box.x)).size).toBe(1)
})

test('crossings are counted as by comparing all pairs of links', () => {
  fc.assert(
    fc.property(anyGraph, (graph) => {
      const { nodes, edges } = drawable(graph)
      const { layers } = layer(nodes, edges)
      orderItems(layers)
      for (const items of layers) {
        const links = items.flatMap((item) => item.down)
        const crossing = links.flatMap((a) => links.filter((b) => a.from.index < b.from.index && a.to.index > b.to.index))
        expect(countCrossings(items)).toBe(crossing.length)
      }
    }),
  )
})

test('two crossed pairs are uncrossed', () => {
  const nodes = ['a', 'b', 'c', 'd'].map((name) => ({ name, type: 'wait' }))
  const { layers } = layer(nodes, [
    { from: 'a', to: 'd', kind: 'all' },
    { from: 'b', to: 'c', kind: 'all' },
  ])
  orderItems(layers)
  expect(layers.map((items) => countCrossings(items))).toEqual([0, 0])
})
