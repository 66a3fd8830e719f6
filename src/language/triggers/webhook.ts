/** `webhook` in a definition: starts the flow when a signed request comes in. */
import { z } from 'zod'
import { json, name } from '../any-step.ts'
import type { JsonObject } from '../values.ts'
import { commonTriggerFields, type AnyTrigger, type TriggerLanguage } from './trigger-language.ts'

export interface WebhookTrigger extends AnyTrigger {
  readonly type: 'webhook'
  /** the name of the secret that requests are signed with, of the flow's owner */
  readonly secret: string
  /** template of the input; the body itself when it is missing */
  readonly input?: JsonObject
}

/** `body`: the JSON that came; `delivery`: its id and when it came. */
export const WEBHOOK_SEES = ['body', 'delivery'] as const

export const webhook: TriggerLanguage<WebhookTrigger> = {
  schema: z.strictObject({
    type: z.literal('webhook').describe('Starts the flow when a signed request comes in.'),
    ...commonTriggerFields,
    secret: name.describe('The name of the secret that requests are signed with (HMAC-SHA256).'),
    input: z
      .record(z.string(), json)
      .optional()
      .describe('Template of the input: sees body and delivery (id, receivedAt); the body itself unless given.'),
  }),
  check(trigger, { template, checkName }) {
    checkName(trigger.secret, 'secret')
    if (trigger.input) template(trigger.input, WEBHOOK_SEES, 'input')
  },
}
