/** Users as administrators see and change them; and the mails that development keeps. */
import type { SentMail } from '../outbound/mail.ts'
import { createUser } from '../operations/people/create-user.ts'
import { deleteUser, updateUser } from '../operations/people/edit-user.ts'
import { listOutbox, listUsers } from '../operations/people/list-users.ts'
import { encodeId } from '../ids.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { given } from './given.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { orderType } from './order.ts'
import { Role, User } from './viewer.ts'

const UserFilter = builder.inputType('UserFilter', {
  description: 'Which users; all that is given must hold.',
  fields: (t) => ({
    role: t.field({ type: [Role], description: 'Any of these.' }),
    disabled: t.boolean({ description: 'Those who cannot sign in, or those who can.' }),
    handle: t.string({ description: 'Exactly this handle.' }),
    email: t.string({ description: 'Exactly this e-mail, upper and lower case alike.' }),
  }),
})
const UserOrder = orderType('UserOrder', 'users')

builder.queryField('users', (t) =>
  t.connection(
    {
      type: User,
      authScopes: { role: 'ADMIN' },
      description: 'All users but those that were deleted. For administrators.',
      complexity: connectionCost,
      args: {
        filter: t.arg({ type: UserFilter, description: 'Which users.' }),
        orderBy: t.arg({ type: UserOrder, defaultValue: 'NEWEST_FIRST', description: 'In which order.' }),
      },
      resolve: (_root, { filter, orderBy, ...args }, call) =>
        readPage(
          'User',
          args,
          (page) => listUsers(call, given(filter), page),
          (user) => user.id,
          orderBy ?? undefined,
        ),
    },
    ...connectionTypes(User, 'User'),
  ),
)

mutation('createUser', {
  description: 'Adds somebody who can sign in.',
  scopes: { role: 'ADMIN' },
  input: (t) => ({
    email: t.string({ required: true, description: 'What they sign in with.' }),
    handle: t.string({ required: true, description: 'The short name, as in `owner/flow`.' }),
    name: t.string({ required: true, description: 'The name for people.' }),
    password: t.string({ required: true, description: 'At least 8 characters of several kinds.' }),
    role: t.field({ type: Role, required: true, description: 'What they may do at all.' }),
  }),
  resolve: (call, input) => createUser(call, input),
  success: (t) => ({ user: t.field({ type: User, description: 'The new user.', resolve: ({ user }) => user }) }),
  problems: ['VALIDATION', 'LIMIT_REACHED'],
})

mutation('updateUser', {
  description:
    'Changes a user. A change of role holds at once; disabling and a new password end every session. The last administrator stays one.',
  scopes: { role: 'ADMIN' },
  input: (t) => ({
    id: t.id({ required: true, description: 'Whom.' }),
    expectedVersion: t.int({ required: true, description: "The user's `version` as you read it." }),
    name: t.string({ description: 'The name for people.' }),
    role: t.field({ type: Role, description: 'What they may do at all.' }),
    disabled: t.boolean({ description: 'Whether they cannot sign in.' }),
    password: t.string({ description: 'A new password.' }),
  }),
  resolve: (call, { id, expectedVersion, ...changes }) =>
    updateUser(call, { id: uuidOf('user', id), expectedVersion, ...given(changes) }),
  success: (t) => ({ user: t.field({ type: User, description: 'As it is now.', resolve: ({ user }) => user }) }),
  problems: ['NOT_FOUND', 'STALE_VERSION', 'VALIDATION', 'ILLEGAL_STATE', 'LIMIT_REACHED'],
})

mutation('deleteUser', {
  description:
    'Erases a person for good: e-mail, name, handle, password, sessions. The id stays, so that what it did stays in one piece; so do its flows. The last administrator stays.',
  scopes: { role: 'ADMIN' },
  input: (t) => ({
    id: t.id({ required: true, description: 'Whom.' }),
    expectedVersion: t.int({ required: true, description: "The user's `version` as you read it." }),
  }),
  resolve: (call, { id, expectedVersion }) => deleteUser(call, { id: uuidOf('user', id), expectedVersion }),
  success: (t) => ({
    userId: t.id({ description: 'What is left.', resolve: ({ userId }) => encodeId('user', userId) }),
  }),
  problems: ['NOT_FOUND', 'STALE_VERSION', 'ILLEGAL_STATE'],
})

const OutboxMail = builder.objectRef<SentMail>('OutboxMail').implement({
  description: 'A mail that was not sent, since no SMTP server is configured.',
  fields: (t) => ({
    to: t.exposeString('to', { description: 'For whom it is.' }),
    subject: t.exposeString('subject', { description: 'What it is about.' }),
    text: t.exposeString('text', { description: 'All of it.' }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was written.' }),
  }),
})

builder.queryField('outbox', (t) =>
  t.field({
    type: [OutboxMail],
    authScopes: { role: 'ADMIN' },
    complexity: 10,
    description:
      'In development, the last mails of this process, the newest first; empty where mails are sent, and in production. For administrators.',
    resolve: async (_root, _args, call) => [...(await listOutbox(call))],
  }),
)
