/** What is inside of a map or a loop: its items or iterations, page by page, and how many are how. */
import { Fault } from '../errors.ts'
import { builder } from './builder.ts'
import { connectionTypes } from './connection.ts'
import { given } from './given.ts'
import { loadersOf } from './loaders.ts'
import { StepRun } from './refs.ts'
import { StepStatus } from './step-run.ts'
import type { StepCounts } from '../operations/executions/read-items.ts'

const Counts = builder.objectRef<StepCounts>('StepCounts').implement({
  description: 'How many items of a map, or iterations of a loop, are how.',
  fields: (t) => ({
    total: t.exposeInt('total', { description: 'Items of the list; of a loop, the iterations that have begun.' }),
    succeeded: t.exposeInt('succeeded', { description: 'Those that have an output.' }),
    failed: t.exposeInt('failed', { description: 'Those that failed.' }),
    skipped: t.exposeInt('skipped', { description: 'Those that were left out.' }),
    running: t.exposeInt('running', { description: 'Those that run or wait.' }),
  }),
})

const StepItemFilter = builder.inputType('StepItemFilter', {
  description: 'Which items.',
  fields: (t) => ({ status: t.field({ type: [StepStatus], description: 'Any of these.' }) }),
})

const DEFAULT_PAGE = 20
const MAX_PAGE = 100
const [StepRunConnection] = connectionTypes(StepRun, 'StepRun')

builder.objectFields(StepRun, (t) => ({
  counts: t.field({
    type: Counts,
    nullable: true,
    description: 'How its items or iterations are; null for a step that has none, and before it has begun.',
    resolve: (step, _args, call) => loadersOf(call).stepCounts.load(step),
  }),
  items: t.field({
    type: StepRunConnection,
    description: 'Its items (of a map) or iterations (of a loop) that have begun, in their order; none for other steps.',
    complexity: ({ first }) => ({ field: 1, multiplier: Math.min(Math.max(first, 0), MAX_PAGE) }),
    args: {
      filter: t.arg({ type: StepItemFilter, description: 'Which ones.' }),
      first: t.arg.int({ required: true, defaultValue: DEFAULT_PAGE, description: `How many: 0 to ${MAX_PAGE}.` }),
      after: t.arg.string({ description: 'The cursor of the last one that you have.' }),
    },
    resolve: async ({ executionId, path, type, attempt, reusedFrom }, { filter, first, after }, call) => {
      if (first < 0 || first > MAX_PAGE) throw new Fault('BAD_REQUEST', `\`first\` must be from 0 to ${MAX_PAGE}.`)
      const place = after == null ? -1 : decodeNumber(after)
      const statuses = given(filter).status
      const has = attempt > 0 && (type === 'map' || type === 'loop')
      // one more than is shown tells whether there are more
      // those of a map that is used again are where it ran
      const wanted = { executionId: reusedFrom ?? executionId, path, type, after: place, limit: first + 1, statuses }
      const found = has ? await loadersOf(call).items.load(wanted) : []
      const edges = found.slice(0, first).map((node) => ({ node, cursor: encodeNumber(node.number) }))
      const pageInfo = { hasNextPage: found.length > first, hasPreviousPage: after != null }
      return { edges, pageInfo: { ...pageInfo, startCursor: edges[0]?.cursor, endCursor: edges.at(-1)?.cursor } }
    },
  }),
}))

const CURSOR = /^StepRun:(\d{1,6})$/

const encodeNumber = (number: number): string => Buffer.from(`StepRun:${number}`).toString('base64url')

function decodeNumber(cursor: string): number {
  const [, number] = CURSOR.exec(Buffer.from(cursor, 'base64url').toString()) ?? []
  if (number === undefined) throw new Fault('BAD_CURSOR')
  return Number(number)
}
