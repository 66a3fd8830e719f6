/** What is measured: five shapes of work, the same for every system, and how much of it each is given. */
import type { JsonObject } from '../src/language/values.ts'

export const SYSTEMS = ['sluice', 'dbos', 'ceiling'] as const
export type SystemName = (typeof SYSTEMS)[number]

export interface Shape {
  /** also the flow's name */
  readonly name: string
  readonly title: string
  /** drained: enqueued first, then workers on; loop: so many callers, each waits for its end and starts the next */
  readonly mode: 'drained' | 'loop'
  readonly callers: number
  /** steps that run one after the other, or all at once before a last one */
  readonly steps: number
  readonly parallel: boolean
  /** of each step's output */
  readonly outputBytes: number
}

const SEQUENTIAL = { steps: 3, parallel: false, outputBytes: 20 }

export const SHAPES: readonly Shape[] = [
  { name: 'drained', title: '3 steps, queue drained', mode: 'drained', callers: 0, ...SEQUENTIAL },
  { name: 'closed', title: '3 steps, 100 callers', mode: 'loop', callers: 100, ...SEQUENTIAL },
  {
    name: 'parallel',
    title: '10 parallel + join, 100 callers',
    mode: 'loop',
    callers: 100,
    steps: 10,
    parallel: true,
    outputBytes: 20,
  },
  { name: 'single', title: '3 steps, one at a time', mode: 'loop', callers: 1, ...SEQUENTIAL },
  { name: 'large', title: '3 steps of 20 kB, 100 callers', mode: 'loop', callers: 100, ...SEQUENTIAL, outputBytes: 20_000 },
]

/** How much one round does: executions, and the most seconds that a closed loop lasts. */
export interface Amount {
  readonly executions: number
  readonly seconds: number
}

/** DBOS is given less to drain, so that a round of it lasts about as long. */
export function amountOf(shape: Shape, system: SystemName, quick: boolean): Amount {
  const seconds = quick ? 1.5 : 4
  const share = quick ? 0.4 : 1
  if (shape.mode === 'drained') return { executions: (system === 'dbos' ? 1_000 : 10_000) * share, seconds: 60 }
  if (shape.callers === 1) return { executions: 500 * share, seconds: seconds * 2 }
  // The ceiling's transitions lie ready in memory, so their number is bounded.
  const ready = shape.outputBytes > 1_000 ? 1_500 : shape.parallel ? 5_000 : 10_000
  return { executions: system === 'ceiling' ? ready * share : Number.MAX_SAFE_INTEGER, seconds }
}

/** The shape as a flow of Sluice. */
export function definitionOf(shape: Shape): JsonObject {
  const names = Array.from({ length: shape.steps }, (_, index) => `s${index + 1}`)
  const step = (after: string[]): JsonObject => ({
    type: 'handler',
    handler: handlerOf(shape),
    ...(after.length > 0 && { after }),
  })
  const steps = names.map((name, index) => [name, step(shape.parallel || index === 0 ? [] : [names[index - 1]!])])
  if (shape.parallel) steps.push(['join', step(names)])
  return { name: shape.name, steps: Object.fromEntries(steps) as JsonObject }
}

export const handlerOf = (shape: Shape): string => `give_${shape.outputBytes}`

/** What every step of the shape returns: JSON of so many bytes, which compresses no better than what people send. */
export function outputOf(shape: Shape): JsonObject {
  let text = ''
  for (let seed = 1; text.length < shape.outputBytes; seed = (seed * 48_271) % 2_147_483_647) text += seed.toString(36)
  return { text: text.slice(0, Math.max(1, shape.outputBytes - '{"text":""}'.length)) }
}
