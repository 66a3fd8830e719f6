/** Warnings about what goes from step to step: places that are not there, and values of a type that is not wanted where they go. */
import type { Definition } from './definition.ts'
import type { IssueList } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'
import { followSchema, typesOf } from './schema-paths.ts'
import { languageOf, type StepDefinition } from './steps/step-types.ts'
import type { JsonObject } from './values.ts'

/** What one expression of the definition reads. */
export interface PlacesRead {
  /** of the expression, in the definition */
  readonly path: readonly string[]
  /** in the scope: `['steps', 'a', 'output', 'b']` */
  readonly places: readonly (readonly string[])[]
  /** the value at its one place goes there as it is */
  readonly copies: boolean
}

export function warnAboutWiring(definition: Definition, reads: readonly PlacesRead[], warnings: IssueList): void {
  const lists = listsOf(reads)
  for (const { path, places, copies } of reads) {
    const seen = places.map((place) => fromOutside(place, path, lists))
    for (const place of seen) warnAboutPlace(definition, place, path, warnings)
    const [place] = seen
    if (copies && place) warnAboutType(definition, place, path, warnings)
  }
}

/** What maps go over, as far as it is a place, by the path of `over`. */
const listsOf = (reads: readonly PlacesRead[]): ReadonlyMap<string, readonly string[]> =>
  new Map(
    reads.flatMap(({ path, places, copies }) =>
      copies && path.at(-1) === 'over' ? [[path.join('.'), places[0]!] as const] : [],
    ),
  )

/** `item` is any item of the list that the innermost map around it goes over. */
function fromOutside(
  place: readonly string[],
  path: readonly string[],
  lists: ReadonlyMap<string, readonly string[]>,
): readonly string[] {
  if (place[0] !== 'item') return place
  for (let at = path.lastIndexOf('step'); at > 1; at = path.slice(0, at).lastIndexOf('step')) {
    const map = path.slice(0, at)
    const list = lists.get([...map, 'over'].join('.'))
    if (list) return [...fromOutside(list, map, lists), '*', ...place.slice(1)]
  }
  return place
}

function warnAboutPlace(definition: Definition, place: readonly string[], path: readonly string[], warnings: IssueList): void {
  const source = sourceOf(definition, place)
  const found = source && followSchema(source.schema, source.rest)
  if (found?.kind !== 'missing') return
  const { key, among } = found
  const where = place.slice(0, place.length - source!.rest.length + source!.rest.indexOf(key)).join('.')
  const what = among.length === 0 ? `${where} has no fields` : `${where} has no ${key.slice(0, 64)}`
  warnings.add('UNKNOWN_PATH', path, what, () => didYouMean(key, among))
}

function warnAboutType(definition: Definition, place: readonly string[], path: readonly string[], warnings: IssueList): void {
  const wanted = wantedAt(definition, path)
  const source = wanted && sourceOf(definition, place)
  const found = source && followSchema(source.schema, source.rest)
  if (!wanted || found?.kind !== 'schema') return
  const types = typesOf(found.schema)
  if (types && !types.some((type) => wanted.includes(type) || (type === 'integer' && wanted.includes('number'))))
    warnings.add('TYPE_MISMATCH', path, `${place.join('.')} is ${types.join(' or ')}, and ${wanted.join(' or ')} is wanted`)
}

/** The schema of the input, or of a step's output, and the way from there. */
export function sourceOf(
  definition: Definition,
  place: readonly string[],
): { schema: JsonObject; rest: readonly string[] } | undefined {
  if (place[0] === 'input') return definition.input && { schema: definition.input, rest: place.slice(1) }
  if (place[0] !== 'steps' || place[2] !== 'output') return undefined
  const step = definition.steps[place[1]!]
  const schema = step && returnsOf(step)
  return schema && { schema, rest: place.slice(3) }
}

/** What a step says that it returns, else what its type does. */
export function returnsOf(step: StepDefinition): JsonObject | undefined {
  return step.returns ?? languageOf(step.type).returns?.(step, (inner) => returnsOf(inner as unknown as StepDefinition))
}

/** The types that the place of an expression takes; undefined: any. */
function wantedAt(definition: Definition, path: readonly string[]): readonly string[] | undefined {
  const [root, name, ...field] = path
  const step = root === 'steps' ? definition.steps[name!] : undefined
  if (!step) return undefined
  // a step inside another has the same fields; those of a template may be called anything
  const own = field.join('.').replace(/^(step\.|compensate\.)+/, '')
  if (own === 'over') return ['array']
  if (step.type === 'wait' && field.join() === 'until') return ['string']
  if (/^(cases\.\d+\.)?when$/.test(own) || (step.type === 'loop' && /^(until|while)$/.test(field.join()))) return ['boolean']
  if (step.type !== 'transform' || field[0] !== 'set' || !step.returns) return undefined
  const found = followSchema(step.returns, field.slice(1))
  return found.kind === 'schema' ? typesOf(found.schema) : undefined
}
