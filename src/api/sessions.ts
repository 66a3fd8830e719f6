/** Where you are signed in, and signing out. */
import type { Session as SessionEntity } from '../identity/entities/session.ts'
import { encodeId } from '../ids.ts'
import { listSessions } from '../operations/people/list-sessions.ts'
import { endSession, signOut } from '../operations/people/sign-out.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { mutation } from './mutation.ts'
import { uuidOf } from './node-ids.ts'
import { Viewer } from './viewer.ts'

const Session = builder.objectRef<SessionEntity>('Session').implement({
  description: 'What came of one sign-in, on one device.',
  fields: (t) => ({
    id: t.id({ description: 'For `revokeSession`.', resolve: ({ id }) => encodeId('session', id) }),
    current: t.boolean({
      description: 'Whether it is the one that asks.',
      resolve: ({ id }, _args, { principal }) => principal?.kind === 'USER' && principal.sessionId === id,
    }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When you signed in.' }),
    refreshedAt: t.expose('refreshedAt', { type: 'DateTime', description: 'When it was last carried on.' }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', description: 'When it ends unless it is carried on.' }),
    ip: t.exposeString('ip', { nullable: true, description: 'The address you signed in from.' }),
    userAgent: t.exposeString('userAgent', { nullable: true, description: 'What the client called itself.' }),
  }),
})

builder.objectField(Viewer, 'sessions', (t) =>
  t.connection(
    {
      type: Session,
      description: 'Where you are signed in, the newest first.',
      complexity: connectionCost,
      resolve: (_viewer, args, call) =>
        readPage(
          'Session',
          args,
          (page) => listSessions(call, page),
          ({ id }) => id,
        ),
    },
    ...connectionTypes(Session, 'Session'),
  ),
)

const ENDED = 'How many sessions ended. Their tokens, sockets and subscriptions end within a second, everywhere.'

mutation('signOut', {
  description: 'Ends the session that asks, or all of yours.',
  scopes: { signedIn: true },
  input: (t) => ({
    everywhere: t.boolean({ defaultValue: false, description: 'All of your sessions, on every device.' }),
  }),
  resolve: (call, { everywhere }) => signOut(call, { everywhere: everywhere === true }),
  success: (t) => ({ sessionsEnded: t.exposeInt('sessionsEnded', { description: ENDED }) }),
  problems: ['NOT_FOUND'],
})

mutation('revokeSession', {
  description: 'Ends one of your sessions.',
  scopes: { signedIn: true },
  input: (t) => ({ id: t.id({ required: true, description: 'Which one, from `viewer.sessions`.' }) }),
  resolve: (call, { id }) => endSession(call, { id: uuidOf('session', id) }),
  success: (t) => ({ sessionsEnded: t.exposeInt('sessionsEnded', { description: ENDED }) }),
  problems: ['NOT_FOUND'],
})
