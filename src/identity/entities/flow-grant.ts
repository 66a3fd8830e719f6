/** What somebody may do on a flow that is not theirs. Written by `flow-grants.ts` alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'

const FlowGrantSchema = defineEntity({
  name: 'FlowGrant',
  tableName: 'flow_grants',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    flowId: p.uuid(),
    /** `user:<uuid>`, `role:USER`, `agent:ceo` or `everyone` */
    grantee: p.string(),
    userId: p.uuid().nullable(),
    /** 1 VIEW, 2 EXECUTE, 3 EDIT, 4 MANAGE */
    level: p.smallint(),
    grantedBy: p.uuid(),
    createdAt: p.datetime(),
  },
})
export class FlowGrant extends FlowGrantSchema.class {}
FlowGrantSchema.setClass(FlowGrant)
