/** One step read from any value: as far as it is right, with everything that is wrong with it. */
import type { z } from 'zod'
import { COMMON_FIELDS, type AnyStep } from './any-step.ts'
import type { IssueList } from './issue-list.ts'
import { didYouMean } from './nearest-name.ts'
import { languageOf, STEP_TYPES, type StepDefinition } from './steps/step-types.ts'
import { addZodIssues } from './zod-issues.ts'

/** A step as far as it could be read: `whole` is missing when its type, or a field that it must have, is wrong. */
export interface DeclaredStep {
  common: AnyStep
  whole?: StepDefinition
}

/** Problems go to `issues` with their path. */
export function readStep(value: unknown, path: readonly string[], issues: IssueList): DeclaredStep {
  if (!isObject(value)) {
    issues.add('INVALID_TYPE', path, 'a step is an object')
    return { common: {} }
  }
  const { type } = value
  const language = languageOf(type)
  if (!language) {
    const code = type === undefined ? 'REQUIRED' : 'UNKNOWN_STEP_TYPE'
    const hint = (): string | undefined => (typeof type === 'string' ? didYouMean(type, STEP_TYPES) : undefined)
    issues.add(code, [...path, 'type'], `the types are ${STEP_TYPES.join(', ')}`, hint)
    return { common: readCommonFields(value) }
  }
  let step = language.schema.safeParse(value)
  if (!step.success) {
    addZodIssues(step.error, path, issues)
    step = language.schema.safeParse(withoutFaults(value, step.error))
  }
  if (!step.success) return { common: readCommonFields(value) }
  const whole = step.data as unknown as StepDefinition
  return { common: whole, whole }
}

/** The fields of any step, those that are wrong left out. */
function readCommonFields(value: Record<string, unknown>): AnyStep {
  const common = COMMON_FIELDS.safeParse(value)
  return common.success ? common.data : (COMMON_FIELDS.safeParse(withoutFaults(value, common.error)).data ?? {})
}

/** Without the fields that the error is about. */
export function withoutFaults(value: Record<string, unknown>, { issues }: z.ZodError): Record<string, unknown> {
  const faulty = new Set<PropertyKey>()
  for (const issue of issues) {
    if (issue.path[0] !== undefined) faulty.add(issue.path[0])
    else if (issue.code === 'unrecognized_keys') for (const key of issue.keys) faulty.add(key)
  }
  return Object.fromEntries(Object.entries(value).filter(([key]) => !faulty.has(key)))
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
