/** The room of triggers: what is kept of them in this process, and the loops that fire them. */
import type { Database } from '../database/database.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Logger } from '../log.ts'
import { createPatternIndex } from './patterns/pattern-index.ts'
import type { PatternIndex } from './patterns/pattern-index.ts'
import { createPatternUses } from './patterns/pattern-uses.ts'
import type { PatternUses } from './patterns/pattern-uses.ts'
import { TRIGGERS_TOPIC } from './save-triggers.ts'

export interface Triggers {
  readonly patterns: PatternIndex
  readonly patternUses: PatternUses
  start(): void
  stop(): Promise<void>
}

export interface TriggersOptions {
  readonly database: Database
  readonly bus: Bus
  /** called when triggers were published here */
  readonly onPublished?: () => void
  readonly log: Logger
}

export function createTriggers({ database, bus, onPublished, log }: TriggersOptions): Triggers {
  const patterns = createPatternIndex(database, log)
  const patternUses = createPatternUses(database, log)
  // here at once, so that who published a pattern can use it; elsewhere soon
  database.onCommitted(TRIGGERS_TOPIC, () => {
    patterns.changed()
    bus.ring(TRIGGERS_TOPIC)
    onPublished?.()
  })
  let unlisten: (() => void) | undefined
  return {
    patterns,
    patternUses,
    start() {
      unlisten = bus.listen(TRIGGERS_TOPIC, patterns.changed)
      patterns.start()
      patternUses.start()
    },
    async stop() {
      unlisten?.()
      await patterns.stop()
      await patternUses.stop()
    },
  }
}
