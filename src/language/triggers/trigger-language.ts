/** What each type of trigger says for itself: its fields, and what is wrong with it. One file a type stands beside this one. */
import type { z } from 'zod'
import { description, name } from '../any-step.ts'
import type { Locals } from '../cel.ts'
import { IssueList, type IssueCode } from '../issue-list.ts'
import { compileTemplate } from '../template.ts'
import type { Json, Scope, Template } from '../values.ts'

/** What every trigger has. */
export interface AnyTrigger {
  /** unique among the triggers of its flow; what is kept about it is kept by this name */
  readonly name: string
  readonly description?: string
}

export const commonTriggerFields = {
  name: name.describe('1 to 64 letters, digits or _, unique among the triggers of the flow.'),
  description: description.optional().describe('What the trigger is for, at most 500 characters.'),
}

export interface TriggerLanguage<Trigger extends AnyTrigger> {
  /** strict: the common fields and its own */
  readonly schema: z.ZodObject
  /** adds what its schema cannot tell */
  check(trigger: Trigger, checker: TriggerChecker): void
}

/** `field` leads from the trigger to the value. */
export interface TriggerChecker {
  readonly issues: IssueList
  /** of the trigger in the definition */
  readonly path: readonly string[]
  /** an ISO 8601 duration of at least `minMs` (1); in ms */
  durationMs(text: string, field: string, minMs?: number): number
  /** a template that sees only these names */
  template(value: Json, sees: Locals, ...field: readonly string[]): Template
  /** whether it may name a secret */
  checkName(name: string, ...field: readonly string[]): boolean
}

/** What a template of a trigger sees besides its own names: nothing. */
export const NO_EXECUTION: Scope = { input: {}, steps: {}, execution: { id: '', startedAt: '' } }

const NO_STEPS: ReadonlySet<string> = new Set()
const OF_EXECUTIONS: ReadonlySet<string> = new Set(['input', 'steps', 'execution'])

/** A template of a trigger: there is no execution yet that it could read. */
export function compileTriggerTemplate(value: Json, sees: Locals, path: readonly string[], issues: IssueList): Template {
  const found = new IssueList()
  const context = { stepNames: NO_STEPS, locals: sees, issues: found, onRead: () => {}, onPlaces: () => {} }
  const template = compileTemplate(value, path, context)
  for (const { at, place } of template.reads ?? []) {
    if (OF_EXECUTIONS.has(place[0] ?? '')) found.add('INVALID_EXPRESSION', [...path, ...at], `there is no ${place[0]} yet`)
  }
  const hint = `expressions see ${sees.join(', ')} here`
  for (const issue of found.issues) issues.add(issue.code as IssueCode, issue.path, issue.message, hint)
  return template
}
