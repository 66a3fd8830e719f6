/** The list of trigger types: a new one is its file beside this one, and a line in each of the two lists here. */
import type { z } from 'zod'
import { pattern, type PatternTrigger } from './pattern.ts'
import { schedule, type ScheduleTrigger } from './schedule.ts'
import { webhook, type WebhookTrigger } from './webhook.ts'
import type { TriggerLanguage } from './trigger-language.ts'

export type TriggerDefinition = PatternTrigger | ScheduleTrigger | WebhookTrigger
export type TriggerType = TriggerDefinition['type']

const LANGUAGES: { readonly [Type in TriggerType]: TriggerLanguage<Extract<TriggerDefinition, { type: Type }>> } = {
  pattern,
  schedule,
  webhook,
}

export const TRIGGER_TYPES = Object.keys(LANGUAGES) as TriggerType[]
export const TRIGGER_SCHEMAS: readonly z.ZodObject[] = Object.values(LANGUAGES).map(({ schema }) => schema)

/** undefined: there is no such type. */
export function triggerLanguageOf(type: unknown): TriggerLanguage<TriggerDefinition> | undefined {
  if (typeof type !== 'string' || !Object.hasOwn(LANGUAGES, type)) return undefined
  return LANGUAGES[type as TriggerType]
}
