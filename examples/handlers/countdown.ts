/** Counts down with pauses: a step that takes its time, reports in the log, and stops as soon as it is asked to. */
import { setTimeout as pause } from 'node:timers/promises'
import { defineHandler } from '../../src/engine/handlers/define-handler.ts'

export default defineHandler({
  name: 'countdown',
  run: async ({ from, pauseMs = 1000 }: { from: number; pauseMs?: number }, { signal, log }) => {
    for (let left = from; left > 0; left--) {
      log(`${left} ...`)
      await pause(pauseMs, undefined, { signal })
    }
    return { counted: from }
  },
})
