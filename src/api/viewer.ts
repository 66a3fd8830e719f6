/** Who asks: the viewer and users, signing in, staying signed in. */
import { User as UserEntity } from '../identity/entities/user.ts'
import type { Role as RoleName } from '../identity/principal.ts'
import { noteRows } from '../operations/audit/note-reads.ts'
import { refreshSession } from '../operations/people/refresh-session.ts'
import { signIn } from '../operations/people/sign-in.ts'
import { builder } from './builder.ts'
import type { Context } from './context.ts'
import { given } from './given.ts'
import { mutation, mutationLike } from './mutation.ts'

const ROLES_DESCRIBED = {
  ADMIN: { description: 'Everything.' },
  USER: { description: 'Owns flows and executions.' },
  VIEWER: { description: 'Only reads.' },
} satisfies Record<RoleName, object>

export const Role = builder.enumType('Role', {
  description: 'What a user may do at all; grants on flows come on top.',
  values: ROLES_DESCRIBED,
})

function isShownAll(call: Context, user: UserEntity): boolean {
  const { principal } = call
  const shown = principal?.kind === 'USER' && (principal.id === user.id || principal.role === 'ADMIN')
  if (shown) noteRows(call, UserEntity, [user])
  return shown
}

/** Other nouns name a user by UUID: `owner: t.field({ type: User, resolve: (flow) => flow.ownerId })`. */
export const User = builder.loadableNode(builder.objectRef<UserEntity>('User'), {
  description: 'Somebody who can sign in.',
  id: { resolve: (user) => user.id },
  // whoever holds a link sees an execution, and nobody
  load: async (ids: string[], call) => (call.principal?.kind === 'LINK' ? [] : call.em.find(UserEntity, { id: { $in: ids } })),
  sort: (user) => user.id,
  fields: (t) => ({
    handle: t.exposeString('handle', { description: 'The short name, as in `owner/flow`.' }),
    name: t.exposeString('name', { description: 'The name for people.' }),
    email: t.string({
      nullable: true,
      description: 'Null unless it is you, or you are an administrator.',
      resolve: (user, _args, call) => (isShownAll(call, user) ? user.email : null),
    }),
    role: t.field({
      type: Role,
      nullable: true,
      description: 'Null unless it is you, or you are an administrator.',
      resolve: (user, _args, call) => (isShownAll(call, user) ? user.role : null),
    }),
    disabled: t.boolean({
      nullable: true,
      description: 'Whether it cannot sign in. Null unless it is you, or you are an administrator.',
      resolve: (user, _args, call) => (isShownAll(call, user) ? user.disabledAt !== null : null),
    }),
    version: t.exposeInt('version', { description: 'Grows with every change; send it as `expectedVersion`.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was added.' }),
  }),
})

export const Viewer = builder.objectRef<UserEntity>('Viewer').implement({
  description: 'You.',
  fields: (t) => ({
    id: t.globalID({ description: 'Your id as a user.', resolve: ({ id }) => ({ type: User, id }) }),
    email: t.exposeString('email', { description: 'What you sign in with.' }),
    handle: t.exposeString('handle', { description: 'Your short name, as in `owner/flow`.' }),
    name: t.exposeString('name', { description: 'Your name for people.' }),
    role: t.field({ type: Role, description: 'What you may do at all.', resolve: ({ role }) => role }),
    user: t.field({ type: User, description: 'You, as others see you.', resolve: (user) => user }),
  }),
})

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    nullable: true,
    authScopes: { public: true },
    description: 'You; null when you are not signed in.',
    resolve: (_root, _args, { principal, em }) => (principal?.kind === 'USER' ? em.findOne(UserEntity, principal.id) : null),
  }),
)

const SignInResult = mutation('signIn', {
  description: 'From an e-mail and a password to a session. Send the access token as `authorization: Bearer ...`.',
  scopes: { public: true },
  input: (t) => ({
    email: t.string({ required: true, description: 'Your e-mail.' }),
    password: t.string({ required: true, description: 'Your password.' }),
  }),
  resolve: (call, input) => signIn(call, input),
  success: (t) => ({
    accessToken: t.exposeString('accessToken', { description: 'Goes into the header `authorization: Bearer ...`.' }),
    accessTokenExpiresAt: t.field({
      type: 'DateTime',
      description: 'Until when the access token is good; get the next one by `refreshSession`.',
      resolve: (session) => new Date(session.accessTokenExpiresAt),
    }),
    refreshToken: t.exposeString('refreshToken', {
      description: 'Good once, for `refreshSession`. A second use ends the session.',
    }),
    viewer: t.field({ type: Viewer, description: 'You.', resolve: (session) => session.user }),
  }),
  problems: ['UNAUTHENTICATED', 'LIMIT_REACHED', 'VALIDATION'],
})

mutationLike('refreshSession', SignInResult, {
  description: 'From a refresh token to the next one and a fresh access token.',
  scopes: { public: true },
  input: (t) => ({
    refreshToken: t.string({ required: true, description: 'The last one you got.' }),
    idempotencyKey: t.string({
      description:
        'Chosen anew, by chance, for each refresh: when the answer is lost, the same request within a minute is answered again. Without it, a second use ends the session.',
    }),
  }),
  resolve: (call, { refreshToken, ...more }) => refreshSession(call, { refreshToken, ...given(more) }),
})
