/** Secrets: named, written, used by steps, never shown. */
import { encodeId } from '../ids.ts'
import { isProblem } from '../errors.ts'
import { deleteSecret } from '../operations/secrets/delete-secret.ts'
import { listSecrets } from '../operations/secrets/list-secrets.ts'
import { setSecret } from '../operations/secrets/set-secret.ts'
import { builder } from './builder.ts'
import { connectionCost, connectionTypes, readPage } from './connection.ts'
import { mutation } from './mutation.ts'
import { Secret } from './refs.ts'

Secret.implement({
  description: 'A secret of yours that steps may name in `secrets`. Its value is write-only: nothing shows it again.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'What steps call it by; unique among your secrets.' }),
    version: t.exposeInt('version', { description: 'Grows with every new value; send it as `expectedVersion`.' }),
    createdAt: t.expose('createdAt', { type: 'DateTime', description: 'When it was made.' }),
    updatedAt: t.expose('updatedAt', { type: 'DateTime', description: 'When its value was last set.' }),
  }),
})

builder.queryField('secrets', (t) =>
  t.connection(
    {
      type: Secret,
      authScopes: { signedIn: true },
      description: 'Your secrets, the newest first: their names, never their values.',
      complexity: connectionCost,
      resolve: (_root, args, call) =>
        readPage(
          'Secret',
          args,
          (page) => listSecrets(call, page),
          (secret) => secret.id,
        ),
    },
    ...connectionTypes(Secret, 'Secret'),
  ),
)

mutation('setSecret', {
  description: 'Stores a secret of yours, or a new value of one. Placeholders are refused.',
  scopes: { signedIn: true },
  input: (t) => ({
    name: t.string({ required: true, description: '1-64 of A-Z a-z 0-9 _; what steps call it by.' }),
    value: t.string({
      required: true,
      description: 'The secret itself, 8 characters to 4,096 bytes. Send it as a variable, never within the document.',
    }),
    expectedVersion: t.int({ description: "The secret's `version` as you read it; none for a new one." }),
  }),
  resolve: (call, { name, value, expectedVersion }) =>
    setSecret(call, { name, value, expectedVersion: expectedVersion ?? undefined }),
  success: (t) => ({ secret: t.field({ type: Secret, description: 'It, without its value.', resolve: ({ secret }) => secret }) }),
  problems: ['VALIDATION', 'NOT_FOUND', 'STALE_VERSION', 'LIMIT_REACHED'],
})

mutation('deleteSecret', {
  description: 'Deletes a secret of yours. Steps that name it fail from then on.',
  scopes: { signedIn: true },
  input: (t) => ({
    name: t.string({ required: true, description: 'Its name.' }),
    expectedVersion: t.int({ required: true, description: 'Its `version` as you read it.' }),
  }),
  resolve: async (call, input) => {
    const deleted = await deleteSecret(call, input)
    return isProblem(deleted) ? deleted : { secretId: encodeId('secret', deleted.id) }
  },
  success: (t) => ({ secretId: t.id({ description: 'The id that it had.', resolve: ({ secretId }) => secretId }) }),
  problems: ['NOT_FOUND', 'STALE_VERSION'],
})
