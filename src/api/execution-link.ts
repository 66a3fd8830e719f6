/** Capability links: tokens for one execution, for people who have no account. */
import type { LinkPrincipal } from '../identity/principal.ts'
import { createExecutionLink } from '../operations/executions/create-execution-link.ts'
import { listExecutionLinks } from '../operations/executions/list-execution-links.ts'
import { revokeExecutionLink } from '../operations/executions/revoke-execution-link.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Execution, ExecutionLink } from './refs.ts'
import { User } from './viewer.ts'

const LinkMay = builder.enumType('ExecutionLinkMay', {
  description: 'What a link lets whoever holds it do, and nothing else.',
  values: {
    READ: { description: 'Read and follow the execution: its steps, events and requests.' },
    ANSWER: { description: 'Read what the execution asks, and answer it.' },
  } satisfies Record<LinkPrincipal['may'], { description: string }>,
})

ExecutionLink.implement({
  description: 'A token for one execution. It can do no more than whoever made it may at that moment.',
  fields: (t) => ({
    may: t.field({ type: LinkMay, description: 'What it is for.', resolve: ({ may }) => may }),
    execution: t.field({
      type: Execution,
      nullable: true,
      description: 'What it is a link to.',
      resolve: ({ executionId }) => executionId,
    }),
    createdBy: t.field({
      type: User,
      nullable: true,
      description: 'Whose rights it lends.',
      resolve: ({ issuerId }) => issuerId,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'Until when it is good.' }),
    revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true, description: 'When somebody ended it.' }),
  }),
})

builder.queryField('executionLinks', (t) =>
  t.connection(
    {
      type: ExecutionLink,
      authScopes: { may: 'LINKS_WRITE' },
      description: 'The links to an execution that you made, or all of them if you manage its flow. The newest first.',
      complexity: connectionCost,
      args: { execution: t.arg.id({ required: true, description: 'The execution.' }) },
      resolve: (_root, { execution, ...args }, call) =>
        readPage(
          'ExecutionLink',
          args,
          (page) => listExecutionLinks(call, uuidOf('execution', execution), page),
          (link) => link.id,
        ),
    },
    ...connectionTypes(ExecutionLink, 'ExecutionLink'),
  ),
)

mutation('createExecutionLink', {
  description: 'Makes a short-lived token for one execution, for whoever you give it to. Send it as `authorization: Bearer ...`.',
  scopes: { may: 'LINKS_WRITE' },
  input: (t) => ({
    executionId: t.id({ required: true, description: 'The execution.' }),
    may: t.field({ type: LinkMay, required: true, description: 'What it is for; ANSWER only where you may answer yourself.' }),
    lifetime: t.field({ type: 'Duration', description: 'How long it is good: a minute to 7 days, PT1H when not given.' }),
  }),
  resolve: (call, { executionId, may, lifetime }) =>
    createExecutionLink(call, { executionId: uuidOf('execution', executionId), may, lifetimeMs: lifetime ?? undefined }),
  success: (t) => ({
    link: t.field({ type: ExecutionLink, description: 'The new link.', resolve: ({ link }) => link }),
    token: t.exposeString('token', { description: 'The token itself. It is shown this once, and stored nowhere.' }),
  }),
  problems: ['VALIDATION', 'NOT_FOUND', 'LIMIT_REACHED'],
})

mutation('revokeExecutionLink', {
  description: 'Ends a link for good. Within a second it opens nothing any more, and what it has open is closed.',
  scopes: { may: 'LINKS_WRITE' },
  input: (t) => ({ id: t.id({ required: true, description: 'The link.' }) }),
  resolve: (call, { id }) => revokeExecutionLink(call, { id: uuidOf('executionLink', id) }),
  success: (t) => ({
    link: t.field({ type: ExecutionLink, description: 'The link as it is now.', resolve: ({ link }) => link }),
  }),
  problems: ['NOT_FOUND'],
})
