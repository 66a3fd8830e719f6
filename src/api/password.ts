/** Changing a password, and resetting a forgotten one. */
import { changePassword } from '../operations/people/change-password.ts'
import { requestPasswordReset, resetPassword } from '../operations/people/reset-password.ts'
import { mutation } from './mutation.ts'

const ENDED = 'How many sessions ended by it.'
const RULE = '8 characters or more, of several kinds unless there are 16, and at most 72 bytes.'

mutation('changePassword', {
  description: 'Changes your password. All of your other sessions end.',
  scopes: { signedIn: true },
  input: (t) => ({
    currentPassword: t.string({ required: true, description: 'The one you have.' }),
    newPassword: t.string({ required: true, description: RULE }),
  }),
  resolve: (call, input) => changePassword(call, input),
  success: (t) => ({ sessionsEnded: t.exposeInt('sessionsEnded', { description: ENDED }) }),
  problems: ['VALIDATION', 'UNAUTHENTICATED', 'LIMIT_REACHED'],
})

mutation('requestPasswordReset', {
  description: 'Asks for a mail with a token for `resetPassword`. Answers the same whether there is such an account or not.',
  scopes: { public: true },
  input: (t) => ({ email: t.string({ required: true, description: 'What you sign in with.' }) }),
  resolve: (call, input) => requestPasswordReset(call, input),
  success: (t) => ({
    accepted: t.exposeBoolean('accepted', { description: 'True: a mail comes if there is such an account.' }),
  }),
  problems: ['LIMIT_REACHED'],
})

mutation('resetPassword', {
  description: 'Sets a new password with the token of a mail, which is good once, for half an hour. All of your sessions end.',
  scopes: { public: true },
  input: (t) => ({
    token: t.string({ required: true, description: 'From the mail.' }),
    password: t.string({ required: true, description: RULE }),
  }),
  resolve: (call, input) => resetPassword(call, input),
  success: (t) => ({ sessionsEnded: t.exposeInt('sessionsEnded', { description: ENDED }) }),
  problems: ['VALIDATION', 'UNAUTHENTICATED', 'LIMIT_REACHED'],
})
