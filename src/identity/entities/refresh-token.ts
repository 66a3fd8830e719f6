/** One link of a session's chain of refresh tokens, known by its hash alone. Written by `sessions.ts` alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'

const RefreshTokenSchema = defineEntity({
  name: 'RefreshToken',
  tableName: 'refresh_tokens',
  schema: 'sluice',
  readonly: true,
  properties: {
    /** SHA-256 of the token */
    hash: p.blob().primary(),
    sessionId: p.uuid(),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
    usedAt: p.datetime().nullable(),
    replacedBy: p.blob().nullable(),
  },
})
export class RefreshToken extends RefreshTokenSchema.class {}
RefreshTokenSchema.setClass(RefreshToken)
