/** A definition read from any value: every part checked and compiled in one pass, with all its problems. */
import { checkName } from './check-name.ts'
import { checkRoles, compileStep, compileWhen } from './compile-step.ts'
import { readCacheTtl } from './around/cache.ts'
import { compileConcurrency } from './around/concurrency.ts'
import { checkOnFailure } from './around/on-failure.ts'
import { checkPool, DEFAULT_POOL } from './around/pool.ts'
import { compileRates } from './around/rate.ts'
import { checkRetention } from './around/retention.ts'
import { compileCompensation } from './compile-compensation.ts'
import { DEFINITION_SCHEMA, type Definition } from './definition.ts'
import { readDocument } from './document.ts'
import { sortSteps } from './graph.ts'
import { compileInputSchema, type InputSchema } from './input-schema.ts'
import { IssueList, type IssueCode } from './issue-list.ts'
import { failuresLeadingTo, readNeeds, readOnError, type DeclaredSteps } from './needs.ts'
import type { PlacesRead } from './lint-wiring.ts'
import type { Needs, Program, ProgramStep } from './program.ts'
import type { AllowList, Template } from './values.ts'
import { readDuration } from './read-duration.ts'
import { isObject, readStep, withoutFaults, type DeclaredStep } from './read-step.ts'
import type { StepContext } from './steps/step-language.ts'
import { compileTemplate } from './template.ts'
import { readTriggers } from './triggers/read-triggers.ts'
import { addZodIssues } from './zod-issues.ts'

const DEFAULT_TIMES = { timeoutMs: 30 * 86_400_000, compensationTimeoutMs: 3_600_000 }

/** An expression that names a step; `reader` is undefined for the flow's output, and for what undoes a step. */
export interface StepRead {
  reader: string | undefined
  step: string
  path: readonly string[]
}

export type Around = Pick<Program, 'concurrency' | 'rates' | 'priority' | 'pool' | 'onFailure' | 'cacheTtlMs'>

export interface ReadDefinition {
  issues: IssueList
  /** only when there are no issues */
  definition?: Definition
  /** in topological order */
  steps: ProgramStep[]
  reads: StepRead[]
  /** what its expressions read, place by place */
  places: PlacesRead[]
  input?: InputSchema
  output?: Template
  timeoutMs: number
  compensationTimeoutMs: number
  /** what the program has besides its steps and its own times, only where the definition says it */
  around: Around
  /** the names that its steps wait for */
  signals: Set<string>
}

/** Never throws, whatever `value` is. The result may be run only when `issues` is empty. */
export function readDefinition(value: unknown, allow: AllowList): ReadDefinition {
  const issues = new IssueList()
  const result: ReadDefinition = { issues, steps: [], reads: [], places: [], ...DEFAULT_TIMES, around: {}, signals: new Set() }
  const document = readDocument(value, issues)
  if (!document) return result
  const outer = DEFINITION_SCHEMA.safeParse(document)
  if (!outer.success) addZodIssues(outer.error, [], issues)

  // What is left is read even when the outside is wrong, so that every problem shows at once.
  const raw = outer.data ?? salvage(document)
  const declared = readSteps(raw.steps, issues)
  const context = {
    allow,
    issues,
    signals: result.signals,
    pool: raw.pool ?? DEFAULT_POOL,
    stepNames: new Set(declared.keys()),
    onRead: (step: string, path: readonly string[]): void => {
      result.reads.push({ reader: path[0] === 'steps' && path[2] !== 'compensate' ? path[1] : undefined, step, path })
    },
    onPlaces: (places: PlacesRead['places'], path: readonly string[], copies: boolean): void => {
      if (places.length > 0) result.places.push({ path, places, copies })
    },
  }
  result.steps = compileSteps(declared, context)
  if (raw.participants) checkRoles(raw.participants, ['participants'], context)
  if (raw.permissions?.agents) checkRoles(raw.permissions.agents, ['permissions', 'agents'], context)
  if (raw.timeout !== undefined) result.timeoutMs = readDuration(raw.timeout, ['timeout'], context, 1)
  if (raw.compensationTimeout !== undefined)
    result.compensationTimeoutMs = readDuration(raw.compensationTimeout, ['compensationTimeout'], context, 1)
  result.around = compileAround(raw, context)
  if (raw.output) result.output = compileTemplate(raw.output, ['output'], context)
  if (raw.input) {
    result.input = compileInputSchema(raw.input)
    for (const issue of result.input.issues) issues.add(issue.code as IssueCode, issue.path, issue.message, issue.hint)
  }
  const triggers = raw.triggers && readTriggers(raw.triggers, issues)
  if (outer.success && issues.empty) {
    const steps = Object.fromEntries([...declared].map(([name, { whole }]) => [name, whole!]))
    const { triggers: _, ...around } = outer.data
    result.definition = { ...around, steps, ...(triggers && { triggers }) }
  }
  return result
}

type Outer = NonNullable<ReturnType<typeof DEFINITION_SCHEMA.safeParse>['data']>

/** The fields of a wrong definition that are right in themselves, and what is right in those that are objects. */
function salvage(document: Record<string, unknown>): Partial<Outer> {
  const fields = Object.entries(DEFINITION_SCHEMA.shape).map(([name, schema]) => {
    const value = document[name]
    const read = schema.safeParse(value)
    return [name, read.success || !isObject(value) ? read.data : schema.safeParse(withoutFaults(value, read.error)).data]
  })
  return Object.fromEntries(fields) as Partial<Outer>
}

function compileAround(raw: Partial<Outer>, context: StepContext): Around {
  const { concurrency, rate, priority, pool, onFailure, retention, cache } = raw
  if (pool !== undefined) checkPool(pool, ['pool'], context)
  if (onFailure) checkOnFailure(onFailure, context)
  if (retention) checkRetention(retention, context)
  return {
    ...(concurrency && { concurrency: compileConcurrency(concurrency, context) }),
    ...(rate && { rates: compileRates(rate, context) }),
    ...(priority !== undefined && { priority }),
    ...(pool !== undefined && pool !== DEFAULT_POOL && { pool }),
    ...(onFailure && { onFailure }),
    ...(cache && { cacheTtlMs: readCacheTtl(cache, context) }),
  }
}

function readSteps(raw: Record<string, unknown> | undefined, issues: IssueList): DeclaredSteps {
  const declared = new Map<string, DeclaredStep>()
  for (const [name, value] of Object.entries(raw ?? {})) {
    checkName(name, ['steps', name], { issues })
    declared.set(name, readStep(value, ['steps', name], issues))
  }
  return declared
}

function compileSteps(declared: DeclaredSteps, context: StepContext): ProgramStep[] {
  const graph = new Map<string, Needs>()
  const steps = new Map<string, ProgramStep>()
  const leadingTo = failuresLeadingTo(declared)
  for (const [name, step] of declared) {
    const { common, whole } = step
    const path = ['steps', name]
    const failures = leadingTo.get(name)
    const needs = { ...readNeeds(name, common, declared, context.issues), ...(failures && { failures }) }
    const when = common.when === undefined ? undefined : compileWhen(common.when, [...path, 'when'], context)
    const onError = readOnError(name, step, declared, context.issues)
    const compensate = common.compensate && compileCompensation(name, common.compensate, context)
    graph.set(name, needs)
    if (!whole) continue
    const body = compileStep(whole, path, context)
    steps.set(name, {
      ...{ name, needs, ...body },
      ...(when && { when }),
      ...(onError && { onError }),
      ...(compensate && { compensate }),
    })
  }
  const { order, cycles } = sortSteps(graph)
  for (const cycle of cycles) {
    // A step that names itself was told already.
    if (cycle.length > 2)
      context.issues.add('CYCLE', ['steps', cycle[0]!], `these steps wait for each other: ${cycle.join(' -> ')}`)
  }
  return order.flatMap((name) => steps.get(name) ?? [])
}
