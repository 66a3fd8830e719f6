/** The masks of executions, made once for each while they are in use: an input never changes, nor does a flow version. */
import { LRUCache } from 'lru-cache'
import type { Database } from '../database/database.ts'
import { isProblem } from '../errors.ts'
import { compileInputSchema } from '../language/input-schema.ts'
import type { JsonObject } from '../language/values.ts'
import { EVERYTHING, ExecutionMask, maskOf, NAMES_ONLY } from './execution-mask.ts'
import type { Programs } from './programs.ts'

/** For each of these executions (UUIDs), also for one that is not there. A few statements for all. */
export type MasksOf = (executionIds: Iterable<string>) => Promise<ReadonlyMap<string, ExecutionMask>>

const MOST_KEPT = 10_000
const MOST_CHARACTERS = 5_000_000
const MOST_VERSIONS = 1_000

type MakeMask = (input: JsonObject) => ExecutionMask

export function createMasks(database: Pick<Database, 'query'>, programs: Programs): MasksOf {
  const kept = new LRUCache<string, ExecutionMask>({
    max: MOST_KEPT,
    maxSize: MOST_CHARACTERS,
    sizeCalculation: ({ size }) => size,
  })

  const makers = new LRUCache<string, { make: MakeMask | undefined }>({ max: MOST_VERSIONS })

  return async (executionIds) => {
    const masks = new Map<string, ExecutionMask>()
    for (const id of executionIds) masks.set(id, kept.get(id) ?? NAMES_ONLY)
    const unknown = [...masks.keys()].filter((id) => !kept.has(id))
    if (unknown.length === 0) return masks
    const marked = await findMarked(unknown)
    const rows = await readInputs([...marked].flatMap(([id, make]) => (make ? [id] : [])))
    for (const [id, make] of marked) {
      const input = rows.get(id)
      // without its input, which goes before its events do, nothing says what of them is sensitive
      const mask = !make ? NAMES_ONLY : input ? make(input) : EVERYTHING
      kept.set(id, mask)
      masks.set(id, mask)
    }
    return masks
  }

  /** Those of these executions that are there, with what makes their masks, if their flow versions mark anything. */
  async function findMarked(ids: readonly string[]): Promise<Map<string, MakeMask | undefined>> {
    const rows = await database.query<{ id: string; version: string }>(
      'select id, flow_version_id as version from sluice.executions where id = any($1)',
      [ids],
    )
    const found = await findMakers(new Set(rows.map(({ version }) => version)))
    return new Map(rows.map(({ id, version }) => [id, found.get(version)]))
  }

  /** For each flow version; undefined: it marks nothing. Only those that may mark something are compiled. */
  async function findMakers(versions: ReadonlySet<string>): Promise<Map<string, MakeMask | undefined>> {
    const found = new Map([...versions].flatMap((version) => (makers.has(version) ? [[version, makers.get(version)!.make]] : [])))
    const unknown = [...versions].filter((version) => !found.has(version))
    if (unknown.length === 0) return found
    const rows = await database.query<{ version: string; mayMark: boolean }>(
      `select id as version, position('"sensitive"' in definition::text) > 0 as "mayMark" from sluice.flow_versions where id = any($1)`,
      [unknown],
    )
    for (const { version, mayMark } of rows) {
      const make = mayMark ? await makerOf(version) : undefined
      makers.set(version, { make })
      found.set(version, make)
    }
    return found
  }

  async function makerOf(version: string): Promise<MakeMask | undefined> {
    const program = await programs.get(version)
    if (!isProblem(program)) return program.sensitive && ((input) => maskOf(program, input))
    // it may not run any more: what it marked stays marked
    const [row] = await database.query<{ input: JsonObject | null; marksOutputs: boolean }>(
      `select definition -> 'input' as input, (definition -> 'steps')::text ~ '"sensitive"\\s*:\\s*true' as "marksOutputs"
       from sluice.flow_versions where id = $1`,
      [version],
    )
    if (row?.marksOutputs) return () => EVERYTHING
    const sensitive = row?.input ? compileInputSchema(row.input).sensitive : undefined
    return sensitive && ((input) => new ExecutionMask({ input: sensitive(input), steps: new Map() }, input))
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
