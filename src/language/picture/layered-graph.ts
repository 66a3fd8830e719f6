/**
 * Steps and edges turned into layers of items, so that every link joins two neighbouring layers. Layered drawing after Sugiyama,
 * Tagawa and Toda (1981). (dagre was measured for it: 0.8-2.3 s for 500 nodes and 1,000 edges, and a row of 500 is 114,000 px wide.)
 */
import type { PictureEdge, PictureNode } from './picture-graph.ts'

/** What stands in a layer: a step, the label of a route, or a bend where a long edge passes. */
export interface Item {
  kind: 'node' | 'pill' | 'bend'
  layer: number
  /** its place in the layer, from the left; set by `orderItems` */
  index: number
  /** its centre; set by `placeItems` */
  x: number
  /** set by `layOut` */
  width: number
  /** the node, or the text of the pill */
  node?: PictureNode
  text?: string
  up: Link[]
  down: Link[]
}
export interface Link {
  from: Item
  to: Item
  taken: boolean
  /** where a failure leads */
  dashed: boolean
}
type Manner = Pick<Link, 'taken' | 'dashed'>
interface LayeredGraph {
  layers: Item[][]
  /** drawn as one curve each, outside the layers: what goes backwards, and what is over the limit of bends */
  strays: Link[]
}
type Bare = Omit<Item, 'index' | 'x' | 'width' | 'up' | 'down'>

/** Bends bound the time and size of a picture; edges beyond that many cross the picture in one curve. */
const MAX_BENDS = 3_000
/** A wider layer is wrapped into several, else a fan of hundreds would be a ribbon nobody can read. */
const widestLayer = (nodes: number): number => Math.max(8, Math.ceil(Math.sqrt(nodes)))

export function layer(nodes: readonly PictureNode[], edges: readonly PictureEdge[]): LayeredGraph {
  const order = arrange(nodes, edges)
  const ranks = rank(order, edges, nodes.length)
  const labelled = new Set(edges.filter((edge) => edge.label !== undefined).map((edge) => ranks.get(edge.from)!))
  const layerOfRank: number[] = []
  let depth = 0
  for (let r = 0; r <= Math.max(-1, ...ranks.values()); r++) {
    layerOfRank[r] = depth
    depth += labelled.has(r) ? 2 : 1
  }
  const layers: Item[][] = Array.from({ length: depth }, () => [])
  const add = (item: Bare): Item => {
    const added = { ...item, index: layers[item.layer]!.length, x: 0, width: 0, up: [], down: [] }
    layers[item.layer]!.push(added)
    return added
  }
  const byName = new Map(nodes.map((node) => [node.name, node]))
  const at = new Map<string, Item>()
  for (const name of order) at.set(name, add({ kind: 'node', layer: layerOfRank[ranks.get(name)!]!, node: byName.get(name)! }))
  return { layers, strays: connect(edges, at, add) }
}

/** Depth first, each node after all that lead to it, so that wrapped layers keep neighbours together. Cycles are cut at the first node. */
function arrange(nodes: readonly PictureNode[], edges: readonly PictureEdge[]): string[] {
  const waitsFor = new Map(nodes.map((node) => [node.name, 0]))
  const next = new Map<string, string[]>(nodes.map((node) => [node.name, []]))
  for (const { from, to } of edges) {
    waitsFor.set(to, waitsFor.get(to)! + 1)
    next.get(from)!.push(to)
  }
  const done = new Set<string>()
  const order: string[] = []
  const visit = (first: string) => {
    const ready = [first]
    for (let name = ready.pop(); name !== undefined; name = ready.pop()) {
      if (done.has(name)) continue
      done.add(name)
      order.push(name)
      for (const to of next.get(name)!.toReversed()) {
        waitsFor.set(to, waitsFor.get(to)! - 1)
        if (waitsFor.get(to) === 0) ready.push(to)
      }
    }
  }
  const starts = nodes.map((node) => node.name).filter((name) => waitsFor.get(name) === 0)
  for (const name of starts) visit(name)
  for (const { name } of nodes) visit(name)
  return order
}

/** The rank of each node: below all that lead to it, where its row still has room. */
function rank(order: readonly string[], edges: readonly PictureEdge[], count: number): Map<string, number> {
  const position = new Map(order.map((name, i) => [name, i]))
  const leadingTo = new Map<string, string[]>(order.map((name) => [name, []]))
  for (const { from, to } of edges) if (position.get(from)! < position.get(to)!) leadingTo.get(to)!.push(from)
  const place = (room: number): { ranks: Map<string, number>; fill: number[] } => {
    const ranks = new Map<string, number>()
    const fill: number[] = []
    for (const name of order) {
      let r = leadingTo.get(name)!.reduce((lowest, from) => Math.max(lowest, ranks.get(from)! + 1), 0)
      while ((fill[r] ?? 0) >= room) r++
      fill[r] = (fill[r] ?? 0) + 1
      ranks.set(name, r)
    }
    return { ranks, fill }
  }
  const free = place(Infinity)
  const widest = Math.max(0, ...free.fill)
  const most = widestLayer(count)
  // 9 in a row for 8 become 5 and 4, not 8 and 1
  return widest <= most ? free.ranks : place(Math.ceil(widest / Math.ceil(widest / most))).ranks
}

/**
 * Links the items. Long edges share their bends: those with one label from one step, and else those that leave the same step or
 * those that reach the same step, whichever are more; so a fan of hundreds is one trunk with branches.
 */
function connect(edges: readonly PictureEdge[], at: ReadonlyMap<string, Item>, add: (item: Bare) => Item): Link[] {
  const strays: Link[] = []
  const leaving = Map.groupBy(edges, (edge) => edge.from)
  const reaching = Map.groupBy(edges, (edge) => edge.to)
  const pills = new Map<string, Item>()
  const trunks = new Map<string, Map<number, Item>>()
  let bends = 0
  for (const edge of edges) {
    const manner = { taken: edge.taken === true, dashed: edge.kind === 'failure' }
    const to = at.get(edge.to)!
    let from = at.get(edge.from)!
    let forks = leaving.get(edge.from)!.length > reaching.get(edge.to)!.length
    let key = JSON.stringify(forks ? { from: edge.from } : { to: edge.to })
    if (edge.label !== undefined) {
      forks = true
      key = JSON.stringify([edge.from, edge.label])
      const pill = pills.get(key) ?? add({ kind: 'pill', layer: from.layer + 1, text: edge.label })
      pills.set(key, pill)
      join(from, pill, manner)
      from = pill
    }
    const trunk = trunks.get(key) ?? new Map<number, Item>()
    trunks.set(key, trunk)
    const missing = Math.max(0, to.layer - from.layer - 1 - trunk.size)
    if (to.layer <= from.layer || bends + missing > MAX_BENDS) strays.push({ from, to, ...manner })
    else {
      bends += missing
      follow(trunk, from, to, forks, manner, add)
    }
  }
  return strays
}

/** Leads a link along its trunk, from the end where it is alone to where the trunk already is. */
function follow(trunk: Map<number, Item>, from: Item, to: Item, forks: boolean, manner: Manner, add: (item: Bare) => Item): void {
  const [lone, root, step] = forks ? [to, from, -1] : [from, to, 1]
  const attach = (item: Item, next: Item) => (forks ? join(next, item, manner) : join(item, next, manner))
  let last = lone
  for (let layer = lone.layer + step; layer !== root.layer; layer += step) {
    const known = trunk.get(layer)
    const bend = known ?? add({ kind: 'bend', layer })
    trunk.set(layer, bend)
    attach(last, bend)
    const onward = forks ? bend.up[0] : bend.down[0]
    if (known && onward && (!manner.taken || onward.taken)) return
    last = bend
  }
  attach(last, root)
}

/** One link between two items, however many edges run there. */
function join(from: Item, to: Item, manner: Manner): void {
  const [fewer, far] = from.down.length < to.up.length ? [from.down, to] : [to.up, from]
  const known = fewer.find((link) => link.from === far || link.to === far)
  if (known) known.taken ||= manner.taken
  else {
    const link = { from, to, ...manner }
    from.down.push(link)
    to.up.push(link)
  }
}
