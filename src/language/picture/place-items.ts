/** Where the items of each layer stand from left to right: near to what they are linked with, then straightened. */
import type { Item, Link } from './layered-graph.ts'

/** Enough for graphs that people draw; large ones get fewer, so that the time is bounded. */
const ROUNDS = 24
const MOST_STEPS = 40_000

/** The distance that the centres of two neighbours need. */
type Apart = (left: Item, right: Item) => number

/**
 * Sets `item.x`, the item's centre, in the order of the layers. Least squares: the sum of force * distance² over all links is convex,
 * and each step solves one layer exactly, so the rounds only improve it.
 */
export function placeItems(layers: readonly Item[][], apart: Apart): void {
  for (const layer of layers) spread(layer, apart, 'neither')
  // first by one side only: that carries the shape of a fan through all layers at once
  for (const layer of layers) spread(layer, apart, 'above')
  for (const layer of layers.toReversed()) spread(layer, apart, 'below')
  const size = layers.reduce((sum, layer) => sum + layer.length, 0)
  for (let round = 0; round < Math.min(ROUNDS, 2 + MOST_STEPS / size); round++)
    for (const layer of round % 2 === 0 ? layers : layers.toReversed()) spread(layer, apart, 'both')
  straighten(layers, apart)
}

/**
 * Long lines should be straight before short ones are, and trunks before all; labels should stand over what they lead to. The branches
 * of a trunk pull like one link together, else they would tilt it.
 */
function force({ from, to }: Link): number {
  if (from.kind === 'node') return to.kind === 'node' ? 1 : 1 / to.up.length
  if (from.kind === 'pill') return 2
  return to.kind === 'node' ? 1 / from.down.length : 8 * (from.up.length + from.down.length + to.up.length + to.down.length)
}

/**
 * Moves one layer's items to the places with the least sum of force * distance² to what pulls them from the given side, in their order
 * and far enough apart: isotonic regression by pooling adjacent violators, linear.
 */
function spread(layer: readonly Item[], apart: Apart, side: 'above' | 'below' | 'both' | 'neither'): void {
  const blocks: { sum: number; force: number; items: number }[] = []
  const offsets: number[] = []
  let offset = 0
  layer.forEach((item, i) => {
    if (i > 0) offset += apart(layer[i - 1]!, item)
    offsets.push(offset)
    // what nothing pulls stays where it is, but gives way
    let block = { sum: (item.x - offset) * 0.001, force: 0.001, items: 1 }
    const pull = (to: Item, strength: number) => {
      block.sum += (to.x - offset) * strength
      block.force += strength
    }
    if (side === 'above' || side === 'both') for (const link of item.up) pull(link.from, force(link))
    if (side === 'below' || side === 'both') for (const link of item.down) pull(link.to, force(link))
    for (let before = blocks.at(-1); before && before.sum / before.force >= block.sum / block.force; before = blocks.at(-1)) {
      blocks.pop()
      block = { sum: before.sum + block.sum, force: before.force + block.force, items: before.items + block.items }
    }
    blocks.push(block)
  })
  let i = 0
  for (const { sum, force, items } of blocks) {
    for (const end = i + items; i < end; i++) layer[i]!.x = sum / force + offsets[i]!
  }
}

/** Gives the items of each chain one x, as far as their neighbours leave room: least squares leave long lines a little crooked. */
function straighten(layers: readonly Item[][], apart: Apart): void {
  const room = (item: Item): [number, number] => {
    const [left, right] = [layers[item.layer]![item.index - 1], layers[item.layer]![item.index + 1]]
    return [left ? left.x + apart(left, item) : -Infinity, right ? right.x - apart(item, right) : Infinity]
  }
  const settled = new Set<Item>()
  for (const start of layers.flat()) {
    let chain: Item[] = []
    let [least, most] = [-Infinity, Infinity]
    const settle = () => {
      const mean = chain.reduce((sum, { x }) => sum + x, 0) / chain.length
      for (const item of chain) item.x = Math.min(most, Math.max(least, mean))
    }
    for (let item: Item | undefined = start; item && !settled.has(item); item = straightBelow(item)) {
      settled.add(item)
      const [low, high] = room(item)
      if (Math.max(low, least) > Math.min(high, most)) {
        settle()
        chain = []
        ;[least, most] = [low, high]
      }
      ;[least, most] = [Math.max(low, least), Math.min(high, most)]
      chain.push(item)
    }
    settle()
  }
}

/** What a line goes straight down to: the next bend of a trunk, or the only item below if this is the only one above it. */
function straightBelow(item: Item): Item | undefined {
  if (item.kind === 'bend') {
    const onward = item.down.find((link) => link.to.kind === 'bend')
    if (onward) return onward.to
  }
  const only = item.down.length === 1 ? item.down[0]!.to : undefined
  return only?.up.length === 1 ? only : undefined
}
