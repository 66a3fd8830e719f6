/** The triggers of a definition read from any value, with everything that is wrong with them. */
import type { z } from 'zod'
import { checkName } from '../check-name.ts'
import type { IssueList } from '../issue-list.ts'
import { didYouMean } from '../nearest-name.ts'
import { readDuration } from '../read-duration.ts'
import { addZodIssues } from '../zod-issues.ts'
import { compileTriggerTemplate, type TriggerChecker } from './trigger-language.ts'
import { TRIGGER_TYPES, triggerLanguageOf, type TriggerDefinition } from './trigger-types.ts'

/** Those that could be read; problems go to `issues`, with their path. */
export function readTriggers(values: readonly unknown[], issues: IssueList): TriggerDefinition[] {
  const names = new Set<string>()
  return values.flatMap((value, i) => {
    const path = ['triggers', String(i)]
    const trigger = readTrigger(value, path, issues)
    if (!trigger) return []
    if (checkName(trigger.name, [...path, 'name'], { issues }) && names.has(trigger.name))
      issues.add('DUPLICATE', [...path, 'name'])
    names.add(trigger.name)
    return [trigger]
  })
}

function readTrigger(value: unknown, path: readonly string[], issues: IssueList): TriggerDefinition | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    issues.add('INVALID_TYPE', path, 'a trigger is an object')
    return undefined
  }
  const { type } = value as { type?: unknown }
  const language = triggerLanguageOf(type)
  if (!language) {
    const hint = (): string | undefined => (typeof type === 'string' ? didYouMean(type, TRIGGER_TYPES) : undefined)
    const code = type === undefined ? 'REQUIRED' : 'UNKNOWN_TRIGGER_TYPE'
    issues.add(code, [...path, 'type'], `the types are ${TRIGGER_TYPES.join(', ')}`, hint)
    return undefined
  }
  const read = language.schema.safeParse(value)
  if (!read.success) addZodIssues(read.error, path, issues)
  // what is right of a wrong one is checked too, so that every problem shows at once
  const trigger = (read.data ?? rightOf(language.schema, value)) as TriggerDefinition | undefined
  if (trigger) language.check(trigger, createChecker(path, issues))
  return trigger
}

/** Without the fields that are wrong; undefined when one of them must be there. */
function rightOf(schema: z.ZodObject, value: object): unknown {
  const fields = Object.entries(schema.shape).flatMap(([name, field]) => {
    const read = (field as z.ZodType).safeParse((value as Record<string, unknown>)[name])
    return read.success && read.data !== undefined ? [[name, read.data] as const] : []
  })
  return schema.safeParse(Object.fromEntries(fields)).data
}

const createChecker = (path: readonly string[], issues: IssueList): TriggerChecker => ({
  issues,
  path,
  durationMs: (text, field, minMs = 1) => readDuration(text, [...path, field], { issues }, minMs),
  template: (value, sees, ...field) => compileTriggerTemplate(value, sees, [...path, ...field], issues),
  checkName: (name, ...field) => checkName(name, [...path, ...field], { issues }),
})
