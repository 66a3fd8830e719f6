/** A key of a service or an agent, known by its hash alone. Written by `api-keys.ts` and `key-use.ts` alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { Role, Scope } from '../principal.ts'

const ApiKeySchema = defineEntity({
  name: 'ApiKey',
  tableName: 'api_keys',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    ownerId: p.uuid(),
    name: p.string(),
    /** its first characters, to tell it from others */
    prefix: p.string(),
    /** SHA-256 of the key */
    hash: p.blob().hidden().lazy(),
    role: p.string().$type<Role>(),
    scopes: p.array().$type<Scope[]>(),
    agentRoles: p.array(),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
    revokedAt: p.datetime().nullable(),
    lastUsedAt: p.datetime().nullable(),
  },
})
export class ApiKey extends ApiKeySchema.class {}
ApiKeySchema.setClass(ApiKey)
