/** A capability link to one execution, known by its hash alone. Written by `execution-links.ts` alone. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { LinkPrincipal } from '../principal.ts'

const ExecutionLinkSchema = defineEntity({
  name: 'ExecutionLink',
  tableName: 'execution_links',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    executionId: p.uuid(),
    flowId: p.uuid(),
    issuerId: p.uuid(),
    may: p.string().$type<LinkPrincipal['may']>(),
    /** SHA-256 of the token */
    hash: p.blob().hidden().lazy(),
    createdAt: p.datetime(),
    expiresAt: p.datetime(),
    revokedAt: p.datetime().nullable(),
  },
})
export class ExecutionLink extends ExecutionLinkSchema.class {}
ExecutionLinkSchema.setClass(ExecutionLink)
