import { expect, test } from 'vitest'
import { featureApproval } from '../../../examples/flows/feature-approval.ts'
import { STEP_STATUSES } from '../../../src/engine/states.ts'
import { compile } from '../../../src/language/compile.ts'
import {
  drawable,
  PICTURE_LIMITS,
  PICTURE_STATUSES,
  pictureOf,
  withStatuses,
  type StepStanding,
} from '../../../src/language/picture/picture-graph.ts'
import { toMermaid } from '../../../src/language/picture/mermaid.ts'
import { toSvg } from '../../../src/language/picture/svg.ts'
import { largeGraph } from './arbitrary-graph.ts'

function programOf(definition: unknown) {
  const compiled = compile(definition, {
    roles: new Set(['ceo', 'cto', 'product_manager', 'senior_architect']),
    handlers: new Set(['echo']),
  })
  if ('issues' in compiled) throw new Error(JSON.stringify(compiled.issues))
  return compiled.program
}
const flow = pictureOf(programOf(featureApproval))
const edge = (from: string, to: string, picture = flow) => picture.edges.find((each) => each.from === from && each.to === to)

test('a picture of feature_approval has its steps, what each waits for, and its routes by name (A15, A16)', () => {
  expect(flow.title).toBe('feature_approval')
  expect(flow.nodes.map(({ name, type }) => `${name}:${type}`).toSorted()).toEqual(
    ['analyze:transform', 'risk:route', 'ask_ceo:agent', 'ask_cto:agent', 'auto:transform', 'tell:notify'].toSorted(),
  )
  expect(flow.nodes.find(({ name }) => name === 'ask_ceo')?.detail).toBe('ceo')
  expect(flow.nodes.find(({ name }) => name === 'tell')?.join).toBe('any')
  expect(flow.edges).toHaveLength(7)
  expect(edge('analyze', 'risk')).toEqual({ from: 'analyze', to: 'risk', kind: 'all' })
  expect(edge('risk', 'ask_cto')).toEqual({ from: 'risk', to: 'ask_cto', kind: 'route', label: 'cto_approval' })
  expect(edge('auto', 'tell')?.kind).toBe('any')
})

test('each step type tells in a few words what it does', () => {
  const picture = pictureOf(
    programOf({
      version: 1,
      name: 'words',
      steps: {
        a: { type: 'wait', duration: 'PT90S' },
        b: { type: 'wait', duration: 'PT0.3S', when: 'true' },
        c: { type: 'handler', handler: 'echo', with: {} },
        d: { type: 'fail', code: 'NO_LUCK', message: 'no', after: { atLeast: 2, of: ['a', 'b', 'c'] } },
      },
    }),
  )
  const details = Object.fromEntries(picture.nodes.map(({ name, detail }) => [name, detail]))
  expect(details).toEqual({ a: '1.5 min', b: '300 ms · conditional', c: 'echo', d: 'NO_LUCK' })
  expect(picture.nodes.find(({ name }) => name === 'd')?.join).toBe('2 of 3')
})

test('an execution half way shows how each step stands and which way it went (A16)', () => {
  const standings: Record<string, StepStanding> = {
    analyze: { status: 'SUCCEEDED' },
    risk: { status: 'SUCCEEDED', route: 'ceo_approval' },
    ask_ceo: { status: 'WAITING', detail: 'attempt 2' },
    ask_cto: { status: 'SKIPPED' },
    auto: { status: 'SKIPPED' },
  }
  const picture = withStatuses(flow, standings)
  expect(picture.nodes.find(({ name }) => name === 'ask_ceo')).toMatchObject({ status: 'WAITING', detail: 'attempt 2' })
  expect(picture.nodes.find(({ name }) => name === 'tell')).toMatchObject({
    status: 'PENDING',
    detail: 'product_manager, senior_architect',
  })
  const taken = picture.edges.filter((each) => each.taken).map(({ from, to }) => `${from}>${to}`)
  expect(taken).toEqual(['analyze>risk', 'risk>ask_ceo'])
  expect(flow.nodes.every((node) => node.status === undefined)).toBe(true)
})

test('a step named like a property of every object is PENDING until it has a standing', () => {
  const graph = { title: '', nodes: [{ name: 'constructor', type: 'wait' }], edges: [] }
  expect(withStatuses(graph, {}).nodes[0]?.status).toBe('PENDING')
})

test('the statuses of pictures are those of steps', () => {
  expect(PICTURE_STATUSES).toEqual(STEP_STATUSES)
})

test('what is over the limits, doubled, or leads nowhere is not drawn, and is counted where it was left out', () => {
  const many = largeGraph(1_200, 4_000)
  const { nodes, edges, left } = drawable(many)
  expect(nodes).toHaveLength(PICTURE_LIMITS.nodes)
  expect(edges).toHaveLength(PICTURE_LIMITS.edges)
  expect(left).toEqual({ nodes: 200, edges: 1_000 })
  const odd = drawable({
    title: '',
    nodes: [
      { name: 'a', type: 'wait' },
      { name: 'a', type: 'fail' },
    ],
    edges: [{ from: 'a', to: 'nowhere', kind: 'all' }],
  })
  expect(odd).toEqual({ nodes: [{ name: 'a', type: 'wait' }], edges: [], left: { nodes: 0, edges: 0 } })
})

test('a failure leads where its step says by a dashed arrow, taken when it came (A16)', () => {
  const handler = { type: 'handler', handler: 'echo' }
  const program = programOf({
    name: 'failures',
    steps: {
      a: { ...handler, onError: { goto: 'b' } },
      b: handler,
      c: { ...handler, onError: 'continue' },
      d: { ...handler, after: ['c'] },
    },
  })
  const picture = pictureOf(program)
  expect(edge('a', 'b', picture)).toEqual({ from: 'a', to: 'b', kind: 'failure', label: 'on error' })
  const taken = (standings: Record<string, StepStanding>) =>
    withStatuses(picture, standings).edges.map(({ from, to, taken }) => `${from}->${to} ${taken}`)
  const failed: StepStanding = { status: 'FAILED' }
  const fine: StepStanding = { status: 'SUCCEEDED' }
  expect(taken({ a: failed, b: fine, c: failed, d: fine })).toEqual(['a->b true', 'c->d true'])
  expect(taken({ a: fine, b: { status: 'SKIPPED' }, c: fine, d: fine })).toEqual(['a->b false', 'c->d true'])
  const dashed = [...toSvg(picture).matchAll(/<path [^>]*stroke-dasharray[^>]*>/g)]
  // from the step to the words, and from there to where it leads
  expect(dashed.length).toBe(2)
  expect(toMermaid(picture)).toContain('-.->|"on error"|')
})
