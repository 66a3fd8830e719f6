/** What is inside of maps and loops: the step runs of their items and iterations, by their numbers, and how many are how. */
import { runAt } from '../../engine/decide/run.ts'
import { countsOf, isComposite } from '../../engine/in-flight.ts'
import type { InFlight, ItemCounts } from '../../engine/in-flight.ts'
import type { StepStatus } from '../../engine/states.ts'
import { isProblem } from '../../errors.ts'
import type { Program } from '../../language/program.ts'
import type { Call } from '../call.ts'
import { noteParts } from '../audit/note-reads.ts'
import { hasRun, isTelling, nameOf, underWay, withMasked } from './read-steps.ts'
import type { EndedStep, StepView } from './read-steps.ts'

/** A page of the items of one step run, of those that have begun. */
export interface ItemsWanted {
  /** UUID */
  executionId: string
  /** of the map or loop */
  path: string
  type: string
  /** items with a higher number */
  after: number
  /** at most this many */
  limit: number
  /** any of these; undefined: all */
  statuses: readonly StepStatus[] | undefined
}

/** `number`: from 0 in a map, from 1 in a loop. */
export type Item = StepView & { number: number }

/** More than any map or loop has. */
const LAST = 10_000

const bracket = ({ path, type }: Pick<ItemsWanted, 'path' | 'type'>): string => `${path}${type === 'map' ? '.items' : ''}[`

const ENDED = `
  select w.place, found.*
  from unnest($1::uuid[], $2::text[], $3::integer[], $4::integer[], $5::text[], $6::integer[])
    with ordinality as w(execution_id, bracket, first, last, statuses, most, place)
  cross join lateral (
    select i.number, s.execution_id as "executionId", s.path, s.name, s.type, s.status, s.attempt, s.started_at as "startedAt",
      s.finished_at as "finishedAt", s.route, s.error
    from generate_series(w.first, w.last) as i(number)
    join sluice.step_runs s on s.execution_id = w.execution_id and s.path = w.bracket || i.number || ']'
    where w.statuses is null or s.status = any(string_to_array(w.statuses, ','))
    order by i.number limit w.most) as found
  order by w.place, found.number`

/** In the order of `wanted`, each in the order of numbers. Three statements for all. */
export async function readItems(call: Call, wanted: readonly ItemsWanted[]): Promise<Item[][]> {
  const { database, engine } = call.services
  const ids = wanted.map(({ executionId }) => executionId)
  noteParts(call, ids, 'steps')
  const executions = await database.query<{ id: string; version: string; inFlight: InFlight[] }>(
    'select id, flow_version_id as version, in_flight as "inFlight" from sluice.executions where id = any($1)',
    [[...new Set(ids)]],
  )
  const rows = await database.query<EndedStep & { place: string; number: number }>(ENDED, [
    ...[ids, wanted.map(bracket), wanted.map(({ after }) => after + 1)],
    // without a filter nothing between is left out
    wanted.map(({ after, limit, statuses }) => (statuses ? LAST : Math.min(after + limit, LAST))),
    ...[wanted.map(({ statuses }) => statuses?.join(',') ?? null), wanted.map(({ limit }) => limit)],
  ])
  const telling = executions.filter(({ inFlight }) => inFlight.some(isTelling))
  const masks = await engine.masks([
    ...rows.flatMap(({ executionId, error }) => (error ? [executionId] : [])),
    ...telling.map(({ id }) => id),
  ])
  for (const row of rows)
    if (row.error) row.error = { ...row.error, message: masks.get(row.executionId)!.text(row.error.message) }
  const programs = new Map(
    await Promise.all(executions.map(async ({ id, version }) => [id, await engine.program(version)] as const)),
  )
  const byPlace = Map.groupBy(rows, ({ place }) => Number(place))
  return wanted.map((one, at) => {
    const found = executions.find(({ id }) => id === one.executionId)
    const execution = found && withMasked(found, masks.get(found.id))
    const program = programs.get(one.executionId)
    const ended = (byPlace.get(at + 1) ?? []).map(({ number, ...run }) => ({ ...hasRun(run, undefined), number }))
    return merge(one, ended, execution?.inFlight ?? [], isProblem(program) ? undefined : program)
  })
}

/** What has ended counts more than what was under way when the execution was read. */
function merge(wanted: ItemsWanted, ended: readonly Item[], inFlight: readonly InFlight[], program: Program | undefined): Item[] {
  const before = bracket(wanted)
  const items = new Map<number, Item>()
  for (const entry of inFlight) {
    if (!entry.path.startsWith(before) || entry.path.indexOf(']', before.length) !== entry.path.length - 1) continue
    const number = Number(entry.path.slice(before.length, -1))
    const type = (program && runAt(program, entry.path)?.step.spec.type) ?? entry.kind
    const item = { ...underWay({ id: wanted.executionId }, entry, nameOf(entry.path), type), number }
    if (number > wanted.after && (wanted.statuses?.includes(item.status) ?? true)) items.set(number, item)
  }
  for (const item of ended) items.set(item.number, item)
  return [...items.values()].toSorted((a, b) => a.number - b.number).slice(0, wanted.limit)
}

/** What a step run inside is known by. */
export type StepCounts = ItemCounts & { running: number }

/** Null for what is no map and no loop, and for what has not begun. One statement for those that have ended. */
export async function readCounts(call: Call, steps: readonly StepView[]): Promise<(StepCounts | null)[]> {
  const over = steps.filter(({ type, inFlight, finishedAt }) => !inFlight && finishedAt && (type === 'map' || type === 'loop'))
  const rows =
    over.length === 0
      ? []
      : await call.services.database.query<{ key: string; counts: ItemCounts | null }>(
          `select s.execution_id || '/' || s.path as key, s.input as counts
           from unnest($1::uuid[], $2::text[]) as w(execution_id, path)
           join sluice.step_runs s on s.execution_id = w.execution_id and s.path = w.path`,
          [over.map(({ executionId }) => executionId), over.map(({ path }) => path)],
        )
  const stored = new Map(rows.map(({ key, counts }) => [key, counts]))
  return steps.map((step) => {
    const { inFlight } = step
    if (inFlight && isComposite(inFlight)) {
      const counts = countsOf(inFlight)
      const begun = inFlight.kind === 'map' ? inFlight.next : counts.total
      return { ...counts, running: begun - counts.succeeded - counts.failed - counts.skipped }
    }
    const counts = inFlight?.kind === 'act' ? inFlight.counts : stored.get(`${step.executionId}/${step.path}`)
    return counts ? { ...counts, running: 0 } : null
  })
}
