/** Runs until the process ends while a release is kept (scripts/keep-release.ts); the release after it answers at once. */
import { defineHandler } from '../../../src/engine/handlers/define-handler.ts'

export const hold = defineHandler({
  name: 'hold',
  inline: true,
  run: (input) => (process.env['HOLD'] === undefined ? input : new Promise<typeof input>(() => {})),
})
