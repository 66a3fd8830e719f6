/** Each thing's colours under one name: as attributes for light, as rules of a style sheet for dark. */
import { PLAIN, STATUS_LOOK, SURFACE, TYPE_LOOK, type Colours } from './palette.ts'

interface Paint {
  fill?: string
  stroke?: string
}
type Paints = Readonly<Record<string, Paint>>

function paintsFor(scheme: 'light' | 'dark'): Paints {
  const surface = SURFACE[scheme]
  const statuses = Object.entries(STATUS_LOOK).flatMap(([status, look]) => ofStatus(status, look[scheme], surface.card))
  const types = Object.entries({ ...TYPE_LOOK, other: PLAIN }).flatMap(([type, look]): [string, Paint][] => [
    [`tile-${type}`, { fill: look[scheme].fill }],
    [`icon-${type}`, { stroke: look[scheme].ink }],
  ])
  return {
    card: { fill: surface.card, stroke: surface.frame },
    halo: { fill: surface.card },
    node: { fill: surface.node, stroke: surface.border },
    text: { fill: surface.text },
    quiet: { fill: surface.quiet },
    join: { fill: surface.card, stroke: surface.border },
    pill: { fill: surface.pill },
    'pill-text': { fill: surface.quiet },
    'pill-taken': { fill: surface.taken },
    'pill-taken-text': { fill: surface.card },
    'line-plain': { stroke: surface.line },
    'line-faint': { stroke: surface.faint },
    'line-taken': { stroke: surface.taken },
    'head-plain': { fill: surface.line },
    'head-faint': { fill: surface.faint },
    'head-taken': { fill: surface.taken },
    ...Object.fromEntries([...statuses, ...types]),
  }
}

const ofStatus = (status: string, { fill, line, ink }: Colours, card: string): [string, Paint][] => [
  [status, { fill, stroke: line }],
  [`${status}-ink`, { fill: ink }],
  [`${status}-icon`, { stroke: ink }],
  [`${status}-solid`, { fill: line, stroke: line }],
  [`${status}-solid-mark`, { stroke: card }],
  [`${status}-hollow`, { fill: card, stroke: line }],
  [`${status}-hollow-mark`, { stroke: line }],
]

const LIGHT = paintsFor('light')
const DARK = paintsFor('dark')

/** ` class="card" fill="#fff" stroke="#ddd"`: drawn in light colours, and found by the rules for dark ones. */
export function paint(name: string): string {
  const { fill, stroke } = LIGHT[name]!
  return ` class="${name}"${fill === undefined ? '' : ` fill="${fill}"`}${stroke === undefined ? '' : ` stroke="${stroke}"`}`
}

/** The rules for what the picture uses; scoped, since a page may hold the picture inline. */
export function darkRules(body: string): string {
  const used = new Set(Array.from(body.matchAll(/ class="([\w-]+)"/g), ([, name]) => name))
  const rules = Object.entries(DARK)
    .filter(([name]) => used.has(name))
    .map(
      ([name, { fill, stroke }]) => `.sluice-picture .${name}{${fill ? `fill:${fill};` : ''}${stroke ? `stroke:${stroke}` : ''}}`,
    )
  return `@media (prefers-color-scheme:dark){${rules.join('')}}`
}
