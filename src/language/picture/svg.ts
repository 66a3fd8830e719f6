/** A picture as a stand-alone SVG: no scripts, no references, no ids; light by its attributes, dark where the viewer prefers that. */
import { cleanText, escapeXml, fitText, textWidth } from './fit-text.ts'
import { FONT, JOIN_BADGE, layOut, NODE, type Layout, type Line, type NodeBox, type PillBox } from './layout.ts'
import { darkRules, paint } from './paint.ts'
import { PLAIN, STATUS_LOOK, TYPE_LOOK, type StatusLook } from './palette.ts'
import { drawable, PICTURE_STATUSES, type PictureGraph, type PictureNode, type PictureStatus } from './picture-graph.ts'

const FAMILY = `system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif`
const MARGIN = 32
const TITLE_SIZE = 17
const NARROWEST = 300
/** Titles of things, shown by browsers as tooltips, are cut here; the whole description there. */
const LONGEST_DESCRIPTION = 2_000

/** Pure and deterministic. At most 1,000 nodes and 3,000 edges are drawn; a line below tells what was left out. */
export function toSvg(graph: PictureGraph): string {
  const { nodes, edges, left } = drawable(graph)
  const layout = layOut(nodes, edges)
  const inside = Math.max(NARROWEST, layout.width)
  const head = header(graph, nodes, inside)
  const foot =
    left.nodes + left.edges === 0 ? '' : `Not shown: ${counted(left.nodes, 'step')}, ${counted(left.edges, 'connection')}`
  const width = Math.ceil(inside + 2 * MARGIN)
  const height = Math.ceil(head.height + layout.height + MARGIN + (foot ? 30 : 0))
  const body = [
    `<rect x=".5" y=".5" width="${width - 1}" height="${height - 1}" rx="14"${paint('card')}/>`,
    head.svg,
    `<g transform="translate(${MARGIN + (inside - layout.width) / 2} ${head.height})">`,
    lines(
      layout,
      nodes.some((node) => node.status !== undefined),
    ),
    ...layout.pills.map(pill),
    ...layout.nodes.map(node),
    '</g>',
    foot && `<text x="${MARGIN}" y="${height - 24}" font-size="12"${paint('quiet')}>${foot}</text>`,
  ].join('')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="sluice-picture" role="img" width="${width}" height="${height}"`,
    ` viewBox="0 0 ${width} ${height}" font-family="${FAMILY}">`,
    `<title>${escapeXml(cleanText(graph.title))}</title><desc>${escapeXml(describe(nodes))}</desc>`,
    `<style>${darkRules(body)}</style>`,
    `${body}</svg>`,
  ].join('')
}

const counted = (n: number, noun: string): string => `${n} ${noun}${n === 1 ? '' : 's'}`

/** The title, and below it how many steps there are, or how many stand how: this is also the legend. */
function header(graph: PictureGraph, nodes: readonly PictureNode[], width: number): { svg: string; height: number } {
  const title = escapeXml(fitText(cleanText(graph.title), width / TITLE_SIZE))
  const heading = `<text x="${MARGIN}" y="46" font-size="${TITLE_SIZE}" font-weight="650"${paint('text')}>${title}</text>`
  const counts = PICTURE_STATUSES.map((status) => ({ status, count: nodes.filter((node) => node.status === status).length }))
  const present = counts.filter(({ count }) => count > 0)
  if (present.length === 0) {
    const words = `<text x="${MARGIN}" y="67" font-size="12"${paint('quiet')}>${counted(nodes.length, 'step')}</text>`
    return { svg: heading + words, height: 96 }
  }
  let [x, y] = [0, 70]
  const entries = present.map(({ status, count }) => {
    const words = `${STATUS_LOOK[status].word} ${count}`
    const room = 22 + textWidth(words) * 12
    if (x > 0 && x + room > width) [x, y] = [0, y + 24]
    const at = MARGIN + x
    x += room + 12
    return `${badge(status, at + 8, y)}<text x="${at + 22}" y="${y + 4}" font-size="12"${paint('quiet')}>${words}</text>`
  })
  return { svg: heading + entries.join(''), height: y + 34 }
}

/** What was taken lies over what was not. */
function lines(layout: Layout, executed: boolean): string {
  const draw = (line: Line, look: string, width: number) =>
    `<path d="${line.path}" fill="none" stroke-width="${width}"${line.dashed ? ' stroke-dasharray="5 4"' : ''}${paint(`line-${look}`)}/>${line.tip ? arrow(line.tip, look) : ''}`
  if (!executed) return layout.lines.map((line) => draw(line, 'plain', 1.5)).join('')
  return [
    ...layout.lines.filter((line) => !line.taken).map((line) => draw(line, 'faint', 1.5)),
    ...layout.lines.filter((line) => line.taken).map((line) => draw(line, 'taken', 2)),
  ].join('')
}

function arrow({ x, y, points }: NonNullable<Line['tip']>, look: string): string {
  const path = points === 'down' ? `M${x} ${y}l-4.5 -8q4.5 2 9 0z` : `M${x} ${y}l8 -4.5q-2 4.5 0 9z`
  return `<path d="${path}"${paint(`head-${look}`)}/>`
}

function pill({ x, y, width, height, label, text, taken }: PillBox): string {
  const look = taken ? 'pill-taken' : 'pill'
  return [
    `<g><title>${escapeXml(text)}</title>`,
    `<rect x="${x - width / 2}" y="${y - height / 2}" width="${width}" height="${height}" rx="${height / 2}"${paint(look)}/>`,
    `<text x="${x}" y="${y + 4}" font-size="${FONT.pill}" text-anchor="middle"${paint(`${look}-text`)}>${escapeXml(label)}</text></g>`,
  ].join('')
}

function node(box: NodeBox): string {
  const { x, y, width, height, label, node } = box
  const look: StatusLook | undefined = node.status && STATUS_LOOK[node.status]
  const left = x - width / 2
  const border = `stroke-width="1.5"${look?.dashed ? ' stroke-dasharray="5 4"' : ''}${paint(node.status ?? 'node')}`
  return [
    `<g class="node"><title>${escapeXml(tellNode(node))}</title>`,
    node.type === 'route' ? `<path d="${hexagon(box)}" ${border}/>` : '',
    node.type === 'route'
      ? ''
      : `<rect x="${left}" y="${y - height / 2}" width="${width}" height="${height}" rx="11" ${border}/>`,
    icon(node, left + 28, y),
    `<text x="${left + NODE.text}" y="${y - 4}" font-size="${FONT.name}" font-weight="600"${paint('text')}>${escapeXml(label)}</text>`,
    `<text x="${left + NODE.text}" y="${y + 14}" font-size="${FONT.detail}"${paint('quiet')}>${secondLine(box)}</text>`,
    node.join === undefined ? '' : joinBadge(node.join, x, y - height / 2),
    node.status ? badge(node.status, x + width / 2 - 14, y - height / 2) : '',
    '</g>',
  ].join('')
}

/** Routers have pointed sides. */
function hexagon({ x, y, width, height }: NodeBox): string {
  const [w, h] = [width / 2, height / 2]
  return `M${x - w} ${y}l12 ${-h}h${width - 24}l12 ${h}l-12 ${h}h${24 - width}z`
}

function icon({ type, status }: PictureNode, x: number, y: number): string {
  const known = Object.hasOwn(TYPE_LOOK, type)
  const path = (known ? TYPE_LOOK[type]! : PLAIN).icon
  const name = known ? type : 'other'
  const tile =
    status === undefined ? `<rect x="${x - 15}" y="${y - 15}" width="30" height="30" rx="8"${paint(`tile-${name}`)}/>` : ''
  const ink = status === undefined ? paint(`icon-${name}`) : paint(`${status}-icon`)
  const style = 'fill="none" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round"'
  return `${tile}<path transform="translate(${x} ${y})" d="${path}" ${style}${ink}/>`
}

/** `agent · ceo`, or in an execution `Waiting · ceo`: then the icon alone tells the type. */
function secondLine({ node, width }: NodeBox): string {
  const room = (width - NODE.text - NODE.right) / FONT.detail
  const first = node.status ? STATUS_LOOK[node.status].word : fitText(cleanText(node.type), room)
  const head = node.status ? `<tspan font-weight="600"${paint(`${node.status}-ink`)}>${first}</tspan>` : escapeXml(first)
  const detail = cleanText(node.detail ?? '')
  const rest = room - textWidth(`${first} · `)
  return detail === '' || rest < 2 ? head : `${head} · ${escapeXml(fitText(detail, rest))}`
}

function badge(status: PictureStatus, x: number, y: number): string {
  const { mark, solid } = STATUS_LOOK[status]
  const kind = solid ? 'solid' : 'hollow'
  return [
    `<g transform="translate(${x} ${y})"><circle r="9"${paint('halo')}/>`,
    `<circle r="7.2" stroke-width="1.4"${paint(`${status}-${kind}`)}/>`,
    `<path d="${mark}" fill="none" stroke-width="1.7" stroke-linecap="round" stroke-linejoin="round"${paint(`${status}-${kind}-mark`)}/></g>`,
  ].join('')
}

function joinBadge(join: string, x: number, y: number): string {
  const text = fitText(cleanText(join), 9)
  const width = Math.ceil(textWidth(text) * 10.5 + 14)
  return [
    `<rect x="${x - width / 2}" y="${y - JOIN_BADGE}" width="${width}" height="${2 * JOIN_BADGE}" rx="${JOIN_BADGE}"${paint('join')}/>`,
    `<text x="${x}" y="${y + 3.6}" font-size="10.5" font-weight="600" text-anchor="middle"${paint('quiet')}>${escapeXml(text)}</text>`,
  ].join('')
}

/** One node in words: `ask_ceo: agent, waiting, ceo, after any`. */
function tellNode({ name, type, status, detail, join }: PictureNode): string {
  const parts = [type, status && STATUS_LOOK[status].word.toLowerCase(), detail, join && `after ${join}`]
  return cleanText(`${cleanText(name)}: ${parts.filter((part) => part !== undefined && part !== '').join(', ')}`)
}

function describe(nodes: readonly PictureNode[]): string {
  let told = `${counted(nodes.length, 'step')}.`
  for (const each of nodes) {
    const next = ` ${tellNode(each)}.`
    if (told.length + next.length > LONGEST_DESCRIPTION) return `${told} …`
    told += next
  }
  return told
}
