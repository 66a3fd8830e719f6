/** Warnings about valid definitions: what will run, but probably not as it was meant. */
import type { Issue } from '../errors.ts'
import { idleFields } from './around/concurrency.ts'
import type { Definition } from './definition.ts'
import { formatDuration, parseDuration } from './duration.ts'
import { unreachableSteps, upstream, type Graph } from './graph.ts'
import { IssueList } from './issue-list.ts'
import { warnAboutSlots } from './lint-slots.ts'
import { warnAboutBounds } from './lint-times.ts'
import { warnAboutWiring } from './lint-wiring.ts'
import type { ReadDefinition, StepRead } from './read-definition.ts'
import { routesOf } from './steps/route.ts'
import { languageOf, type StepDefinition } from './steps/step-types.ts'
import type { Bounds } from './worst-case.ts'

export function findWarnings(
  definition: Definition,
  { steps, reads, places, input, timeoutMs }: ReadDefinition,
  bounds: Bounds,
): Issue[] {
  const warnings = new IssueList()
  const graph: Graph = new Map(steps.map((step) => [step.name, step.needs]))
  const order = steps.map((step) => step.name)
  for (const name of unreachableSteps(graph, order)) warnings.add('UNREACHABLE', ['steps', name])
  warnAboutRoutes(definition, graph, warnings)
  for (const [step, path] of bodiesOf(definition)) warnAboutTimes(step, path, warnings)
  if (definition.compensationTimeout !== undefined && !steps.some((step) => step.compensate))
    warnings.add('NO_EFFECT', ['compensationTimeout'], 'no step says how to undo it')
  for (const path of definition.concurrency ? idleFields(definition.concurrency) : [])
    warnings.add('NO_EFFECT', path, 'nothing waits: one more is refused')
  warnAboutRoles(definition, warnings)
  warnAboutReads(reads, graph, warnings)
  warnAboutWiring(definition, places, warnings)
  warnAboutSlots(definition, warnings)
  warnAboutBounds(definition, bounds, timeoutMs, warnings)
  for (const { path, message } of input?.warnings ?? []) warnings.add('LOOSE_SCHEMA', path, message)
  return warnings.issues
}

/** Each step, and what undoes it, with its path. */
function bodiesOf({ steps }: Definition): [StepDefinition, string[]][] {
  return Object.entries(steps).flatMap(([name, step]): [StepDefinition, string[]][] => {
    const path = ['steps', name]
    const undoing = step.compensate as unknown as StepDefinition | undefined
    return undoing
      ? [
          [step, path],
          [undoing, [...path, 'compensate']],
        ]
      : [[step, path]]
  })
}

function warnAboutRoutes(definition: Definition, graph: Graph, warnings: IssueList): void {
  const heard = new Set<string>()
  for (const needs of graph.values()) for (const { router, route } of needs.routes) heard.add(`${router}:${route}`)
  for (const [name, step] of Object.entries(definition.steps)) {
    if (step.type !== 'route') continue
    if (step.otherwise === undefined) warnings.add('NO_OTHERWISE', ['steps', name])
    for (const route of routesOf(step)) {
      if (!heard.has(`${name}:${route}`)) warnings.add('ROUTE_UNHEARD', ['steps', name], `no step listens to ${name}:${route}`)
    }
  }
}

function warnAboutTimes(step: StepDefinition, path: readonly string[], warnings: IssueList): void {
  const { instant, retry: usual, timeout } = languageOf(step.type)
  if (instant) {
    for (const field of ['timeout', 'retry'] as const) {
      if (step[field] !== undefined)
        warnings.add('NO_EFFECT', [...path, field], `a ${step.type} takes no time and is not repeated`)
    }
  } else if (step.retry && (step.retry.attempts ?? usual?.attempts ?? 1) === 1) {
    warnings.add('NO_EFFECT', [...path, 'retry'], 'nothing is repeated with one attempt', 'say how many: "attempts": 3')
  }
  if (step.cost !== undefined && (step.type === 'map' || step.type === 'loop'))
    warnings.add('NO_EFFECT', [...path, 'cost'], 'it is the step inside that costs', 'move cost into `step`')
  if (step.type === 'map' && step.tolerate !== undefined && (step.step as Partial<StepDefinition>).onError === 'continue')
    warnings.add('NO_EFFECT', [...path, 'tolerate'], 'each item lets the map go on when it fails')
  if (step.type === 'wait' && step.timeout !== undefined && step.duration !== undefined) {
    if (parseDuration(step.timeout)! < parseDuration(step.duration)!)
      warnings.add('TOO_SHORT', [...path, 'timeout'], `it always fails: it waits for ${step.duration}`)
  }
  if (timeout?.mostMs !== undefined && step.timeout !== undefined && parseDuration(step.timeout)! > timeout.mostMs) {
    const most = formatDuration(timeout.mostMs)
    warnings.add('CAPPED', [...path, 'timeout'], `a step of type ${step.type} has at most ${most}; that is what is used`)
  }
}

function warnAboutRoles(definition: Definition, warnings: IssueList): void {
  const { participants } = definition
  if (!participants) return
  for (const [step, path] of bodiesOf(definition)) {
    const roles = languageOf(step.type).roles?.(step) ?? []
    for (const role of roles) {
      if (!participants.includes(role)) warnings.add('NOT_A_PARTICIPANT', path, `${role} is not among the participants`)
    }
  }
}

/** A step that is not waited for may not have ended yet; the flow's output is made when all have. */
function warnAboutReads(reads: readonly StepRead[], graph: Graph, warnings: IssueList): void {
  const known = new Map<string, Set<string>>()
  for (const { reader, step, path } of reads) {
    if (reader === undefined) continue
    const before = known.get(reader) ?? upstream(graph, reader)
    known.set(reader, before)
    if (!before.has(step))
      warnings.add('NOT_UPSTREAM', path, `${reader} does not wait for ${step}, so its output may not be there`)
  }
}
