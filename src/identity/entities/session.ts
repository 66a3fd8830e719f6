/** What came of one sign-in: the family of its refresh tokens. Written by `sessions.ts` alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'

const SessionSchema = defineEntity({
  name: 'Session',
  tableName: 'sessions',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    userId: p.uuid(),
    createdAt: p.datetime(),
    /** when its last token was traded, or it was opened */
    refreshedAt: p.datetime(),
    expiresAt: p.datetime(),
    /** where it was opened from */
    ip: p.string().nullable(),
    userAgent: p.string().nullable(),
    revokedAt: p.datetime().nullable(),
  },
})
export class Session extends SessionSchema.class {}
SessionSchema.setClass(Session)
