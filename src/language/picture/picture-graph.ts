/** What a picture shows: the steps of a flow and what leads to what, with or without the statuses of an execution. */
import type { Needs, Program, ProgramStep } from '../program.ts'
import type { StepBody } from '../steps/step-language.ts'

/** The engine has the same list; a test compares the two. */
export const PICTURE_STATUSES = ['PENDING', 'RUNNING', 'WAITING', 'SUCCEEDED', 'FAILED', 'SKIPPED', 'CANCELED'] as const
export type PictureStatus = (typeof PICTURE_STATUSES)[number]

export interface PictureNode {
  name: string
  /** a step type; one that the picture does not know gets a plain icon */
  type: string
  status?: PictureStatus
  /** a few words: the role asked, the handler, the attempt */
  detail?: string
  /** what a join waits for when that is not all: `any`, `2 of 3` */
  join?: string
}

export interface PictureEdge {
  from: string
  to: string
  /** the route, for kind `route`; `on error` for kind `failure` */
  label?: string
  kind: 'all' | 'any' | 'route' | 'failure'
  /** what follows is reached when the step fails, too */
  pastFailure?: true
  /** whether the execution went this way; undefined in the picture of a flow */
  taken?: boolean
}

export interface PictureGraph {
  title: string
  nodes: PictureNode[]
  edges: PictureEdge[]
}

/** How one step stands. `route` is the route that a router took. */
export interface StepStanding {
  status: PictureStatus
  detail?: string
  route?: string
}

/** Only this much of a picture is drawn, so that no definition makes one that is slow or large; the rest is told in words. */
export const PICTURE_LIMITS = { nodes: 1_000, edges: 3_000 } as const

/** The picture of a flow: a node a step, in the program's order. */
export function pictureOf(program: Program): PictureGraph {
  return {
    title: program.name,
    nodes: program.steps.map((step) => ({ name: step.name, type: step.spec.type, ...detailOf(step), ...joinOf(step.needs) })),
    edges: program.steps.flatMap(({ name, needs }) => [
      ...needs.of.map((from) => ({
        ...{ from, to: name, kind: needs.mode === 'all' ? ('all' as const) : ('any' as const) },
        ...(program.step(from)?.onError === 'continue' && { pastFailure: true as const }),
      })),
      ...(needs.failures ?? []).map((from) => ({ from, to: name, label: 'on error', kind: 'failure' as const })),
      ...needs.routes.map(({ router, route }) => ({ from: router, to: name, label: route, kind: 'route' as const })),
    ]),
  }
}

/**
 * The picture of an execution. Steps without a standing are PENDING. An edge is taken when its step succeeded, with that route if it
 * is a router, or failed where that is what leads on; and the step it leads to was not skipped.
 */
export function withStatuses(graph: PictureGraph, standings: Readonly<Record<string, StepStanding>>): PictureGraph {
  const byName = new Map(Object.entries(standings))
  const status = (name: string): PictureStatus => byName.get(name)?.status ?? 'PENDING'
  return {
    title: graph.title,
    nodes: graph.nodes.map((node) => {
      const detail = byName.get(node.name)?.detail ?? node.detail
      return { ...node, status: status(node.name), ...(detail === undefined ? {} : { detail }) }
    }),
    edges: graph.edges.map((edge) => {
      const sameRoute = edge.kind !== 'route' || byName.get(edge.from)?.route === edge.label
      const left = status(edge.from)
      const leadsOn =
        edge.kind === 'failure' ? left === 'FAILED' : left === 'SUCCEEDED' || (left === 'FAILED' && edge.pastFailure)
      return { ...edge, taken: sameRoute && leadsOn === true && status(edge.to) !== 'SKIPPED' }
    }),
  }
}

/** The part of a graph that can be drawn: within the limits, one node a name, no edge into nowhere. */
export function drawable(graph: PictureGraph): {
  nodes: PictureNode[]
  edges: PictureEdge[]
  left: { nodes: number; edges: number }
} {
  const byName = new Map<string, PictureNode>()
  for (const node of graph.nodes) if (!byName.has(node.name)) byName.set(node.name, node)
  const nodes = [...byName.values()].slice(0, PICTURE_LIMITS.nodes)
  const drawn = new Set(nodes.map((node) => node.name))
  const known = graph.edges.filter(({ from, to }) => byName.has(from) && byName.has(to))
  const edges = known.filter(({ from, to }) => drawn.has(from) && drawn.has(to)).slice(0, PICTURE_LIMITS.edges)
  return { nodes, edges, left: { nodes: byName.size - nodes.length, edges: known.length - edges.length } }
}

function joinOf({ mode, count, of }: Needs): { join?: string } {
  if (mode === 'all' || of.length < 2) return {}
  return { join: mode === 'any' ? 'any' : `${count} of ${of.length}` }
}

function detailOf({ spec, when }: ProgramStep): { detail?: string } {
  const words = [wordsOf(spec), when && 'conditional'].filter((word) => word !== undefined)
  return words.length === 0 ? {} : { detail: words.join(' · ') }
}

function wordsOf(spec: ProgramStep['spec']): string | undefined {
  switch (spec.type) {
    case 'agent':
      return spec.role
    case 'notify':
      return spec.roles.join(', ')
    case 'handler':
      return spec.handler
    case 'http':
      return spec.method
    case 'query':
      return spec.source
    case 'fail':
      return spec.code
    case 'wait':
      return spec.durationMs === undefined ? 'until a date' : durationWords(spec.durationMs)
    case 'signal':
      return spec.signals.join(', ')
    case 'approval':
      return spec.quorum === 1 ? undefined : `${spec.quorum} votes`
    case 'map':
      return `each ${insideWords(spec)}`
    case 'loop':
      return `up to ${spec.times} x ${insideWords(spec)}`
    case 'flow':
      return spec.flow
    case 'transform':
    case 'route':
      return undefined
  }
}

/** The step inside a map or a loop: `handler summarize`. */
function insideWords({ step }: { step: StepBody }): string {
  const spec = step.spec as ProgramStep['spec']
  return [spec.type, wordsOf(spec)].filter((word) => word !== undefined).join(' ')
}

/** 90_000 -> `1.5 min` */
function durationWords(ms: number): string {
  const units = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
    ['s', 1_000],
  ] as const
  const [unit, size] = units.find(([, size]) => ms >= size) ?? ['ms', 1]
  return `${Math.round((ms / size) * 10) / 10} ${unit}`
}
