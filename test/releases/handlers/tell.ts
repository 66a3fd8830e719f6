/** Tells a secret by its digest; as `hold` it does not come to that while a release is kept. */
import { createHash } from 'node:crypto'
import { defineHandler } from '../../../src/engine/handlers/define-handler.ts'

export const tell = defineHandler({
  name: 'tell',
  inline: true,
  run: (_input, { secret }) =>
    process.env['HOLD'] === undefined
      ? { sha256: createHash('sha256').update(secret('api_token')).digest('hex') }
      : new Promise<never>(() => {}),
})
