/** How often patterns answered, and from the cache: counted in this process, added up in the database every second. */
import type { Database } from '../../database/database.ts'
import { createLoop } from '../../loop.ts'
import type { Logger } from '../../log.ts'

export interface PatternUse {
  cached: boolean
  /** that it took */
  tokens: number
}

export interface PatternUses {
  /** Costs a look into a map. What was counted in the last second is lost when the process is killed. */
  note(triggerId: string, use: PatternUse): void
  /** called with each; for metrics */
  onUse?: (use: PatternUse) => void
  /** Adds up what was counted; for tests, and what the loop does. */
  runOnce(): Promise<void>
  start(): void
  stop(): Promise<void>
}

interface Counts {
  answers: number
  cached: number
  tokens: number
}

const WRITE_MS = 1_000

export function createPatternUses(database: Pick<Database, 'query'>, log: Logger): PatternUses {
  let counted = new Map<string, Counts>()

  function add(id: string, { answers, cached, tokens }: Counts): void {
    const counts = counted.get(id) ?? { answers: 0, cached: 0, tokens: 0 }
    counts.answers += answers
    counts.cached += cached
    counts.tokens += tokens
    counted.set(id, counts)
  }

  async function runOnce(): Promise<void> {
    if (counted.size === 0) return
    const taken = counted
    counted = new Map()
    // in one order everywhere, so that processes do not wait for each other in a circle
    const rows = [...taken].map(([id, counts]) => ({ id, ...counts })).toSorted((a, b) => (a.id < b.id ? -1 : 1))
    await database.query(ADD, [JSON.stringify(rows)]).catch((error: unknown) => {
      for (const [id, counts] of taken) add(id, counts)
      throw error
    })
  }

  const loop = createLoop({
    name: 'pattern uses',
    log,
    async runOnce() {
      await runOnce()
      return WRITE_MS
    },
  })

  const uses: PatternUses = {
    note(id, use) {
      add(id, { answers: 1, cached: Number(use.cached), tokens: use.tokens })
      uses.onUse?.(use)
    },
    runOnce,
    start: () => loop.start(),
    async stop() {
      await loop.stop()
      await runOnce().catch((error: unknown) => log.warn({ err: error }, 'uses of patterns could not be written'))
    },
  }
  return uses
}

const ADD = `
  insert into sluice.pattern_uses as u (trigger_id, answers, cached, tokens)
  select r.id, r.answers, r.cached, r.tokens
  from json_to_recordset($1::json) as r(id uuid, answers bigint, cached bigint, tokens bigint)
  on conflict (trigger_id) do update set
    answers = u.answers + excluded.answers, cached = u.cached + excluded.cached, tokens = u.tokens + excluded.tokens`
