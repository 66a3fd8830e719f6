/** The masks of executions, made once for each while they are in use: an input never changes, nor does a flow version. */
import { LRUCache } from 'lru-cache'
import type { Database } from '../database/database.ts'
import { isProblem } from '../errors.ts'
import { derivePlaces } from '../language/derived-places.ts'
import type { DerivedPlaces } from '../language/derived-places.ts'
import { compileInputSchema } from '../language/input-schema.ts'
import type { JsonObject } from '../language/program.ts'
import { hidesAnything } from '../masking/places.ts'
import { ExecutionMask } from './execution-mask.ts'
import type { Programs } from './programs.ts'

/** For each of these executions (UUIDs), also for one that is not there. A few statements for all. */
export type MasksOf = (executionIds: Iterable<string>) => Promise<ReadonlyMap<string, ExecutionMask>>

const NAMES_ONLY = new ExecutionMask()
const MOST_KEPT = 10_000
const MOST_CHARACTERS = 5_000_000
const MOST_VERSIONS = 1_000

type FindPlaces = (input: JsonObject) => DerivedPlaces

export function createMasks(database: Pick<Database, 'query'>, programs: Programs): MasksOf {
  const kept = new LRUCache<string, ExecutionMask>({
    max: MOST_KEPT,
    maxSize: MOST_CHARACTERS,
    sizeCalculation: ({ size }) => size,
  })

  const finders = new LRUCache<string, { find: FindPlaces | undefined }>({ max: MOST_VERSIONS })

  return async (executionIds) => {
    const masks = new Map<string, ExecutionMask>()
    for (const id of executionIds) masks.set(id, kept.get(id) ?? NAMES_ONLY)
    const unknown = [...masks.keys()].filter((id) => !kept.has(id))
    if (unknown.length === 0) return masks
    const marked = await findMarked(unknown)
    const rows = await readInputs([...marked].flatMap(([id, find]) => (find ? [id] : [])))
    for (const id of marked.keys()) {
      const input = rows.get(id)
      const find = marked.get(id)
      const places = find && input ? find(input) : undefined
      const mask = places && hidesAnything(places.input) ? new ExecutionMask(places, input) : NAMES_ONLY
      kept.set(id, mask)
      masks.set(id, mask)
    }
    return masks
  }

  /** Those of these executions that are there, with what finds what their flow versions mark, if they mark anything. */
  async function findMarked(ids: readonly string[]): Promise<Map<string, FindPlaces | undefined>> {
    const rows = await database.query<{ id: string; version: string }>(
      'select id, flow_version_id as version from sluice.executions where id = any($1)',
      [ids],
    )
    const found = await findFinders(new Set(rows.map(({ version }) => version)))
    return new Map(rows.map(({ id, version }) => [id, found.get(version)]))
  }

  /** For each flow version; undefined: it marks nothing. Only those that may mark something are compiled. */
  async function findFinders(versions: ReadonlySet<string>): Promise<Map<string, FindPlaces | undefined>> {
    const found = new Map(
      [...versions].flatMap((version) => (finders.has(version) ? [[version, finders.get(version)!.find]] : [])),
    )
    const unknown = [...versions].filter((version) => !found.has(version))
    if (unknown.length === 0) return found
    const rows = await database.query<{ version: string; mayMark: boolean }>(
      `select id as version, position('"sensitive"' in definition::text) > 0 as "mayMark" from sluice.flow_versions where id = any($1)`,
      [unknown],
    )
    for (const { version, mayMark } of rows) {
      const find = mayMark ? await finderOf(version) : undefined
      finders.set(version, { find })
      found.set(version, find)
    }
    return found
  }

  async function finderOf(version: string): Promise<FindPlaces | undefined> {
    const program = await programs.get(version)
    if (!isProblem(program)) {
      const { sensitive } = program
      return sensitive && ((input) => derivePlaces(program, sensitive(input)))
    }
    // it may not run any more: what it marked stays marked
    const [row] = await database.query<{ input: JsonObject | null }>(
      `select definition -> 'input' as input from sluice.flow_versions where id = $1`,
      [version],
    )
    const sensitive = row?.input ? compileInputSchema(row.input).sensitive : undefined
    return sensitive && ((input) => ({ input: sensitive(input), steps: new Map() }))
  }

  async function readInputs(ids: readonly string[]): Promise<Map<string, JsonObject>> {
    if (ids.length === 0) return new Map()
    const rows = await database.query<{ id: string; body: JsonObject }>(
      'select execution_id as id, body from sluice.execution_inputs where execution_id = any($1)',
      [ids],
    )
    return new Map(rows.map(({ id, body }) => [id, body]))
  }
}
