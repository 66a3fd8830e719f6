/** What starts a flow besides calls; written by `saveTriggers`. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { TriggerDefinition, TriggerType } from '../../language/triggers/trigger-types.ts'

const TriggerSchema = defineEntity({
  name: 'Trigger',
  tableName: 'triggers',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    flowId: p.uuid(),
    name: p.string(),
    type: p.string().$type<TriggerType>(),
    definition: p.json<TriggerDefinition>(),
    /** whom schedules and webhooks run as: a user, or an agent */
    publishedBy: p.uuid(),
    version: p.integer(),
    createdAt: p.datetime(),
    /** when it was published as it is, or removed */
    changedAt: p.datetime(),
    /** the newest version of the flow does not have it any more */
    removedAt: p.datetime().nullable(),
  },
})
export class Trigger extends TriggerSchema.class {}
TriggerSchema.setClass(Trigger)
