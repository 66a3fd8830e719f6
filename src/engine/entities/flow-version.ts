/** One immutable definition of a flow, numbered from 1. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { JsonObject } from '../../language/values.ts'

const FlowVersionSchema = defineEntity({
  name: 'FlowVersion',
  tableName: 'flow_versions',
  schema: 'sluice',
  properties: {
    id: p.uuid().primary(),
    flowId: p.uuid(),
    number: p.integer(),
    definition: p.json<JsonObject>(),
    createdBy: p.uuid(),
    /** of the program that wrote it; null: older than levels are */
    level: p.smallint().nullable(),
    createdAt: p.datetime().onCreate(() => new Date()),
  },
})
export class FlowVersion extends FlowVersionSchema.class {}
FlowVersionSchema.setClass(FlowVersion)
