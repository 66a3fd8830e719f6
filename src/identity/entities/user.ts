/** A person who can sign in. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { Role } from '../principal.ts'

const UserSchema = defineEntity({
  name: 'User',
  tableName: 'users',
  schema: 'sluice',
  properties: {
    id: p.uuid().primary(),
    email: p.string(),
    /** as in `owner/flow`; never an e-mail */
    handle: p.string(),
    name: p.string(),
    role: p.string().$type<Role>(),
    /** read by signing in alone, with its own statement */
    passwordHash: p.string().hidden().lazy(),
    version: p.integer().version(),
    createdAt: p.datetime(),
    updatedAt: p.datetime(),
    /** set = cannot sign in, and every session is dead */
    disabledAt: p.datetime().nullable(),
    /** set = nothing is left but the id */
    deletedAt: p.datetime().nullable(),
  },
})
export class User extends UserSchema.class {}
UserSchema.setClass(User)
