/** Handlers that do not do well. */
import { defineHandler } from '../../../src/engine/handlers/define-handler.ts'

export const fails = defineHandler({
  name: 'fails',
  run() {
    throw new Error('as it does')
  },
})

export const crashes = defineHandler({
  name: 'crashes',
  run: () => process.exit(3),
})
