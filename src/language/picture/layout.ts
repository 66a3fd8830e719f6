/** From a graph to boxes and lines in pixels: layers from top to bottom, y by the tallest of each layer, x by `placeItems`. */
import { cleanText, fitText, textWidth } from './fit-text.ts'
import { layer, type Item, type Link } from './layered-graph.ts'
import { orderItems } from './order-items.ts'
import { STATUS_LOOK } from './palette.ts'
import type { PictureEdge, PictureNode } from './picture-graph.ts'
import { placeItems } from './place-items.ts'

export interface Box {
  /** centre */
  x: number
  y: number
  width: number
  height: number
}
export interface NodeBox extends Box {
  node: PictureNode
  /** the name as it fits */
  label: string
}
export interface PillBox extends Box {
  label: string
  /** what the label says in full */
  text: string
  taken: boolean
}
export interface Line {
  /** an SVG path */
  path: string
  taken: boolean
  dashed: boolean
  /** where its arrow head is and points, when it ends at a node */
  tip?: { x: number; y: number; points: 'down' | 'left' }
}
export interface Layout {
  nodes: NodeBox[]
  pills: PillBox[]
  lines: Line[]
  width: number
  height: number
}

export const FONT = { name: 13.5, detail: 11.5, pill: 11.5 } as const
/** From a node's left edge to its words, and from there to its right edge. */
export const NODE = { height: 54, text: 52, right: 16, narrowest: 150, widest: 250 } as const
const PILL = { height: 22, padding: 20, widest: 190 } as const
/** Room for the curves between two layers; wide fans get more, so that they do not lie flat. */
const GAP = { rows: 44, moreForFans: 0.07, mostRows: 110, nodes: 30, lines: 22, afterPill: 24 } as const

/** To the right of everything, for what goes backwards. */
const STRAY_ROOM = 56

/** Coordinates start at 0; `width` and `height` hold everything. */
export function layOut(nodes: readonly PictureNode[], edges: readonly PictureEdge[]): Layout {
  const { layers, strays } = layer(nodes, edges)
  orderItems(layers)
  const nodeWidth = commonWidth(nodes)
  const items = layers.flat()
  for (const item of items) item.width = item.kind === 'node' ? nodeWidth : item.kind === 'pill' ? pillWidth(item) : 0
  const gap = (left: Item, right: Item) => (left.kind === 'node' && right.kind === 'node' ? GAP.nodes : GAP.lines)
  placeItems(layers, (left, right) => (left.width + right.width) / 2 + gap(left, right))
  const leftmost = Math.min(Infinity, ...layers.map(([first]) => first!.x - first!.width / 2))
  for (const item of items) item.x = Math.round(item.x - leftmost)
  const rows = rowsOf(layers)
  const links = items.flatMap((item) => item.down)
  return {
    nodes: items.flatMap((item) => (item.node ? [nodeBox(item.node, item, rows[item.layer]!)] : [])),
    pills: items.flatMap((item) => (item.kind === 'pill' ? [pillBox(item, rows[item.layer]!)] : [])),
    lines: [
      ...links.map((link) => curve(link, rows)),
      ...items.flatMap((item) => (item.kind === 'bend' ? [passage(item, rows)] : [])),
      ...strays.map((link) => stray(link, rows)),
    ],
    width: Math.max(0, ...items.map((item) => item.x + item.width / 2)) + (strays.length === 0 ? 0 : STRAY_ROOM),
    height: (rows.at(-1)?.y ?? 0) + (rows.at(-1)?.height ?? 0) / 2,
  }
}

/** All nodes are as wide as the longest of their words asks for: one width looks calmer than thirty. */
function commonWidth(nodes: readonly PictureNode[]): number {
  const needed = nodes.map((node) => {
    const name = textWidth(cleanText(node.name)) * FONT.name
    const first = node.status ? STATUS_LOOK[node.status].word : node.type
    const detail = textWidth(cleanText(`${first} · ${node.detail ?? ''}`)) * FONT.detail
    return NODE.text + Math.max(name, detail) + NODE.right
  })
  return Math.ceil(Math.min(NODE.widest, Math.max(NODE.narrowest, ...needed)) / 2) * 2
}

const pillWidth = (item: Item): number =>
  Math.ceil(Math.min(PILL.widest, PILL.padding + Math.max(12, textWidth(cleanText(item.text ?? '')) * FONT.pill)))

function nodeBox(node: PictureNode, { x, width }: Item, { y }: Row): NodeBox {
  const room = width - NODE.text - NODE.right
  return { node, x, y, width, height: NODE.height, label: fitText(cleanText(node.name), room / FONT.name) }
}

function pillBox(item: Item, { y }: Row): PillBox {
  const { x, width } = item
  const text = cleanText(item.text ?? '')
  const taken = item.up.some((link) => link.taken)
  return { x, y, width, height: PILL.height, text, label: fitText(text, (width - PILL.padding) / FONT.pill), taken }
}

interface Row {
  y: number
  height: number
}

/** The middle and height of each layer. */
function rowsOf(layers: readonly Item[][]): Row[] {
  let top = 0
  return layers.map((items) => {
    const height = items.some((item) => item.kind === 'node') ? NODE.height : PILL.height
    const row = { y: top + height / 2, height }
    const reach = Math.max(0, ...items.flatMap((item) => item.down.map((link) => Math.abs(link.to.x - item.x))))
    const least = items.some((item) => item.kind === 'node') ? GAP.rows : GAP.afterPill
    top += height + Math.round(Math.min(GAP.mostRows, least + reach * GAP.moreForFans))
    return row
  })
}

/** How far above and below its row's middle an item's lines begin: at its border, or for a bend at the border of the row. */
const halfHeight = (item: Item, row: Row): number =>
  (item.kind === 'node' ? NODE.height : item.kind === 'pill' ? PILL.height : row.height) / 2

/** Room for the badge that tells how a join waits. */
export const JOIN_BADGE = 8
const tipOf = (item: Item, row: Row) => ({
  x: item.x,
  y: row.y - halfHeight(item, row) - (item.node?.join === undefined ? 0 : JOIN_BADGE),
  points: 'down' as const,
})

/** Curves stay in the gap between two layers, so no line ever crosses a node. */
function curve({ from, to, taken, dashed }: Link, rows: readonly Row[]): Line {
  const [upper, lower] = [rows[from.layer]!, rows[to.layer]!]
  const [x1, x2] = [from.x, to.x]
  const tip = tipOf(to, lower)
  const leave = upper.y + halfHeight(from, upper)
  // an item lower than its row has a straight piece first or last
  const [y1, y2] = [upper.y + upper.height / 2, Math.min(tip.y, lower.y - lower.height / 2)]
  return {
    path: `M${x1} ${leave}${y1 > leave ? `V${y1}` : ''}${drop(x1, y1, x2, y2)}${tip.y > y2 ? `V${tip.y}` : ''}`,
    ...{ taken, dashed },
    ...(to.kind === 'node' ? { tip } : {}),
  }
}

/** Down from one point to another, leaving and arriving vertically. */
function drop(x1: number, y1: number, x2: number, y2: number): string {
  if (x1 === x2) return `V${y2}`
  const bend = Math.round((y2 - y1) * 0.55)
  return `C${x1} ${y1 + bend} ${x2} ${y2 - bend} ${x2} ${y2}`
}

/** The straight piece of a long edge through a layer. */
function passage(item: Item, rows: readonly Row[]): Line {
  const { y, height } = rows[item.layer]!
  const links = [...item.up, ...item.down]
  const [taken, dashed] = [links.some((link) => link.taken), links.every((link) => link.dashed)]
  return { path: `M${item.x} ${y - height / 2}v${height}`, taken, dashed }
}

/** Leaves and arrives at the right side of its items when it goes backwards, and straight down when it does not. */
function stray({ from, to, taken, dashed }: Link, rows: readonly Row[]): Line {
  const [upper, lower] = [rows[from.layer]!, rows[to.layer]!]
  const [x1, x2] = [from.x, to.x]
  if (to.layer > from.layer) {
    const leave = upper.y + halfHeight(from, upper)
    const tip = tipOf(to, lower)
    return { path: `M${x1} ${leave}${drop(x1, leave, x2, tip.y)}`, taken, dashed, tip }
  }
  const [right1, right2] = [x1 + from.width / 2, x2 + to.width / 2]
  const out = Math.max(right1, right2) + STRAY_ROOM - 4
  const [y1, y2] = [upper.y + 10, lower.y - 10]
  const path = `M${right1} ${y1}C${out} ${y1} ${out} ${y2} ${right2} ${y2}`
  return { path, taken, dashed, tip: { x: right2, y: y2, points: 'left' } }
}
