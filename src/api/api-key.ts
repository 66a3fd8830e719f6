/** API keys: the programs that act for people, and agents. */
import type { Scope as ScopeName } from '../identity/principal.ts'
import { createApiKey } from '../operations/people/create-api-key.ts'
import { listApiKeys } from '../operations/people/list-api-keys.ts'
import { revokeApiKey } from '../operations/people/revoke-api-key.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { ApiKey } from './refs.ts'
import { Role, User } from './viewer.ts'

const Scope = builder.enumType('ApiKeyScope', {
  description: 'What a key may be allowed. It can never do more than whoever owns it.',
  values: {
    FLOWS_READ: { description: 'See flows.' },
    FLOWS_WRITE: { description: 'See, create and edit flows.' },
    FLOWS_SHARE: { description: 'See flows, and share them.' },
    EXECUTIONS_READ: { description: 'See and follow executions.' },
    EXECUTIONS_WRITE: { description: 'See, start, cancel, pause and resume executions.' },
    REQUESTS_READ: { description: 'See agent requests.' },
    REQUESTS_ANSWER: { description: 'See and answer agent requests.' },
    LINKS_WRITE: { description: 'See executions, and make and revoke links to them.' },
    AUDIT_READ: { description: 'Read the audit log.' },
  } satisfies Record<ScopeName, { description: string }>,
})

ApiKey.implement({
  description: 'A key of a service or an agent. What it opens is shown once, when it is made.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What it is for.' }),
    prefix: t.exposeString('prefix', { description: 'How it begins, to tell it from others.' }),
    owner: t.field({ type: User, nullable: true, description: 'Whose it is.', resolve: ({ ownerId }) => ownerId }),
    role: t.field({ type: Role, description: 'It never acts as more than this.', resolve: ({ role }) => role }),
    scopes: t.field({ type: [Scope], description: 'What it is allowed.', resolve: ({ scopes }) => scopes }),
    agentRoles: t.exposeStringList('agentRoles', {
      description: 'The roles of the agent whose key it is; empty for a service, which acts as its owner.',
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'Until when it is good.' }),
    revokedAt: t.expose('revokedAt', { type: 'DateTime', nullable: true, description: 'When somebody ended it.' }),
    lastUsedAt: t.expose('lastUsedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'When it was last used, to the minute.',
    }),
  }),
})

const ApiKeyFilter = builder.inputType('ApiKeyFilter', {
  description: 'Which keys; all that is given must hold.',
  fields: (t) => ({
    owner: t.id({ description: 'Whose they are.' }),
    live: t.boolean({ description: 'Those that are good now, or those that are not any more.' }),
  }),
})

builder.queryField('apiKeys', (t) =>
  t.connection(
    {
      type: ApiKey,
      authScopes: { signedIn: true },
      description: 'Your keys, the newest first; for administrators those of everybody.',
      complexity: connectionCost,
      args: { filter: t.arg({ type: ApiKeyFilter, description: 'Which ones.' }) },
      resolve: (_root, { filter, ...args }, call) => {
        const { owner, live } = given(filter)
        const wanted = { live, ...(owner !== undefined && { ownerId: uuidOf('user', owner) }) }
        return readPage(
          'ApiKey',
          args,
          (page) => listApiKeys(call, wanted, page),
          (key) => key.id,
        )
      },
    },
    ...connectionTypes(ApiKey, 'ApiKey'),
  ),
)

mutation('createApiKey', {
  description:
    'Makes a key for a service of yours, which acts as you within its scopes, or, for administrators, for an agent. Send it as `authorization: Bearer ...`.',
  scopes: { signedIn: true },
  input: (t) => ({
    name: t.string({ required: true, description: 'What it is for: 1 to 100 characters.' }),
    scopes: t.field({ type: [Scope], required: true, description: 'What it is allowed, at least one.' }),
    role: t.field({
      type: Role,
      description: 'It never acts as more than this: at most your role; USER, or VIEWER if you are one, when not given.',
    }),
    agentRoles: t.stringList({
      description: 'Of the configured agent roles: the key is an agent with these roles. Only administrators make agents.',
    }),
    lifetime: t.field({ type: 'Duration', description: 'How long it is good: a minute to 366 days, P90D when not given.' }),
  }),
  resolve: (call, input) => {
    const { lifetime: lifetimeMs, ...rest } = given(input)
    return createApiKey(call, { ...rest, name: input.name, scopes: input.scopes, lifetimeMs })
  },
  success: (t) => ({
    apiKey: t.field({ type: ApiKey, description: 'The new key, as you will see it later.', resolve: ({ apiKey }) => apiKey }),
    secret: t.exposeString('secret', { description: 'The key itself. It is shown this once, and stored nowhere.' }),
  }),
  problems: ['VALIDATION', 'LIMIT_REACHED'],
})

mutation('revokeApiKey', {
  description: 'Ends a key for good. Within a second it opens nothing any more, and what it has open is closed.',
  scopes: { signedIn: true },
  input: (t) => ({ id: t.id({ required: true, description: 'The key.' }) }),
  resolve: (call, { id }) => revokeApiKey(call, { id: uuidOf('apiKey', id) }),
  success: (t) => ({ apiKey: t.field({ type: ApiKey, description: 'The key as it is now.', resolve: ({ apiKey }) => apiKey }) }),
  problems: ['NOT_FOUND'],
})
