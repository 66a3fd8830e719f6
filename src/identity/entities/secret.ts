/** A secret as lists show it: never its value, not even sealed. Written by `secrets.ts` alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'

const SecretSchema = defineEntity({
  name: 'Secret',
  tableName: 'secrets',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    ownerId: p.uuid(),
    name: p.text(),
    version: p.integer(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
  },
})
export class Secret extends SecretSchema.class {}
SecretSchema.setClass(Secret)
