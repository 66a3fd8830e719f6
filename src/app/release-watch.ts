/** Ends a process for which the schema is not there any more: a newer release has taken away what it needs. */
import { plan } from '../../migrations/list.ts'
import { readSchemaLevel, tooOld } from '../database/schema-level.ts'
import { createLoop } from '../loop.ts'
import type { AppDatabaseOptions } from './database.ts'
import type { Ground } from './ground.ts'

const LOOK_EVERY_MS = 5_000

/** It ends as when it is asked to: what it holds is given back. Whoever starts it again finds it waiting, and why. */
export function watchRelease({ database, log, stack }: Ground, onFatal: AppDatabaseOptions['onFatal']): void {
  const loop = createLoop({
    name: 'looking at the schema level',
    log,
    async runOnce() {
      const why = tooOld(plan.schemaLevel, await readSchemaLevel(database.query))
      if (why !== undefined) onFatal(new Error(`this process waits for ${why}`))
      return LOOK_EVERY_MS
    },
  })
  loop.start()
  stack.defer(() => loop.stop())
}
