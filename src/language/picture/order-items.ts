/** The order of the items in each layer, chosen so that few links cross: barycentre sweeps, keeping the best order seen. */
import type { Item, Link } from './layered-graph.ts'

const SWEEPS = 8
/** Swapping two neighbours looks at all pairs of their links; crowded ones are left as they are. */
const MOST_PAIRS = 400

/** Sorts each layer in place and numbers its items: `item.index`. */
export function orderItems(layers: Item[][]): void {
  layers.forEach(number)
  let best = layers.map((layer) => [...layer])
  let fewest = Infinity
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep++) {
    if (sweep % 2 === 0) for (const layer of layers) sort(layer, 'up')
    else for (const layer of layers.toReversed()) sort(layer, 'down')
    layers.forEach(swapNeighbours)
    const crossings = layers.reduce((sum, layer) => sum + countCrossings(layer), 0)
    if (crossings < fewest) {
      fewest = crossings
      best = layers.map((layer) => [...layer])
    }
  }
  best.forEach((order, i) => layers[i]!.splice(0, order.length, ...order))
  layers.forEach(number)
}

const number = (layer: readonly Item[]): void => layer.forEach((item, i) => void (item.index = i))
type Side = 'up' | 'down'
const farEnd = (link: Link, side: Side): Item => (side === 'up' ? link.from : link.to)

/** By the mean index of the neighbours on one side; what has none there stays. */
function sort(layer: Item[], side: Side): void {
  const weighed = layer.map((item) => {
    const links = item[side]
    let sum = 0
    for (const link of links) sum += farEnd(link, side).index
    return { item, weight: links.length === 0 ? item.index : sum / links.length }
  })
  weighed.sort((a, b) => a.weight - b.weight).forEach(({ item }, i) => void (layer[i] = item))
  number(layer)
}

/** One pass that swaps neighbours whose links cross less the other way round. */
function swapNeighbours(layer: Item[]): void {
  for (let i = 0; i + 1 < layer.length; i++) {
    const [left, right] = [layer[i]!, layer[i + 1]!]
    if (left.up.length * right.up.length + left.down.length * right.down.length > MOST_PAIRS) continue
    if (gain(left, right, 'up') + gain(left, right, 'down') <= 0) continue
    layer[i] = right
    layer[i + 1] = left
    left.index = i + 1
    right.index = i
  }
}

/** How many crossings of two neighbours' links on one side go away when they are swapped, less those that come. */
function gain(left: Item, right: Item, side: Side): number {
  let count = 0
  for (const a of left[side]) for (const b of right[side]) count += Math.sign(farEnd(a, side).index - farEnd(b, side).index)
  return count
}

/** Crossings between a layer and the one below, by a Fenwick tree (Barth, Mutzel and Jünger 2002): O(links log links). */
export function countCrossings(layer: readonly Item[]): number {
  const places = layer.flatMap(({ down }) => down.map((link) => link.to.index + 1).sort((a, b) => a - b))
  const size = places.reduce((most, place) => Math.max(most, place), 0)
  const tree = new Int32Array(size + 1)
  let crossings = 0
  places.forEach((place, seen) => {
    crossings += seen
    for (let i = place; i > 0; i -= i & -i) crossings -= tree[i]!
    for (let i = place; i <= size; i += i & -i) tree[i]!++
  })
  return crossings
}
