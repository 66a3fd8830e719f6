/** A flow: a named program owned by someone; what it does is in its versions. */
import { defineEntity, p } from '@mikro-orm/postgresql'

const FlowSchema = defineEntity({
  name: 'Flow',
  tableName: 'flows',
  schema: 'sluice',
  properties: {
    id: p.uuid().primary(),
    ownerId: p.uuid(),
    name: p.string(),
    description: p.string().nullable(),
    visibility: p.string().$type<'PRIVATE' | 'PUBLIC'>(),
    /** the newest flow version's number */
    latestNumber: p.integer(),
    /** how long its newest version says that payloads are kept */
    payloadDays: p.integer().nullable(),
    version: p.integer().version(),
    createdAt: p.datetime().onCreate(() => new Date()),
    updatedAt: p
      .datetime()
      .onCreate(() => new Date())
      .onUpdate(() => new Date()),
  },
})
export class Flow extends FlowSchema.class {}
FlowSchema.setClass(Flow)
