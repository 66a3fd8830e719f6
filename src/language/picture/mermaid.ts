/** A picture as Mermaid text, for pages that draw it themselves: https://mermaid.js.org/syntax/flowchart.html */
import { cleanText, fitText } from './fit-text.ts'
import { STATUS_LOOK } from './palette.ts'
import { drawable, PICTURE_STATUSES, type PictureEdge, type PictureGraph, type PictureNode } from './picture-graph.ts'

/** In units of the font size: about 60 characters. */
const LABEL_WIDTH = 40

/**
 * Pure and deterministic. Within the same limits as the SVG; whatever names and labels hold, they stay text. Mermaid itself draws at
 * most 500 edges and 50,000 characters unless the page allows more.
 */
export function toMermaid(graph: PictureGraph): string {
  const { nodes, edges } = drawable(graph)
  // ids of our own: a step may be called `end` or `style`, which mean something in Mermaid
  const ids = new Map(nodes.map((node, i) => [node.name, `n${i}`]))
  const used = PICTURE_STATUSES.filter((status) => nodes.some((node) => node.status === status))
  const lines = [
    'flowchart TD',
    ...nodes.map((node) => `  ${ids.get(node.name)}${shape(node)}`),
    ...edges.map((edge) => `  ${ids.get(edge.from)} ${arrow(edge)} ${ids.get(edge.to)}`),
    ...used.map((status) => `  classDef ${status} ${style(status)}`),
    ...used.map((status) => {
      const members = nodes.filter((node) => node.status === status).map((node) => ids.get(node.name))
      return `  class ${members.join(',')} ${status}`
    }),
  ]
  const taken = edges.flatMap((edge, i) => (edge.taken ? [i] : []))
  if (taken.length > 0) lines.push(`  linkStyle ${taken.join(',')} stroke-width:3px`)
  return [...frontMatter(graph.title), ...lines, ''].join('\n')
}

function frontMatter(title: string): string[] {
  const shown = cleanText(title)
  // YAML knows JSON's strings; what could mean something to Mermaid's own scan of the text is written as \uXXXX
  const quoted = shown.replace(/[^\p{L}\p{N} _.,-]/gu, (found) =>
    [...Array(found.length).keys()].map((i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  )
  return shown === '' ? [] : ['---', `title: "${quoted}"`, '---']
}

function shape({ name, type, status, detail, join }: PictureNode): string {
  const more = [type, detail, join && `after ${join}`, status && STATUS_LOOK[status].word].filter((part) => part !== undefined)
  const words = `"${escape(name)}<br>${escape(more.join(' · '))}"`
  return type === 'route' ? `{{${words}}}` : `(${words})`
}

/** Dotted is a join that does not wait for all, and where a failure leads. */
function arrow({ kind, label }: PictureEdge): string {
  const line = kind === 'any' || kind === 'failure' ? '-.->' : '-->'
  return label === undefined ? line : `${line}|"${escape(label)}"|`
}

function style(status: (typeof PICTURE_STATUSES)[number]): string {
  const { light, dashed } = STATUS_LOOK[status]
  return `fill:${light.fill},stroke:${light.line},color:${light.ink}${dashed ? ',stroke-dasharray:5 4' : ''}`
}

/** Letters, digits, underscores and blanks; all else as Mermaid's decimal entities. Mermaid uses `ﬂ` for a placeholder of its own. */
function escape(text: string): string {
  const shown = fitText(cleanText(text), LABEL_WIDTH).replace(/[^\p{L}\p{N}_ ·]|ﬂ/gu, (char) => `#${char.codePointAt(0)};`)
  return shown === '' ? ' ' : shown
}
