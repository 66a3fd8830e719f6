/** What a fault works with: it takes the time from the harm until those who were hit go on. */
import { setTimeout as pause } from 'node:timers/promises'
import type { FaultRecord } from './check.ts'
import type { Stage } from './faults/fault.ts'

export interface StageOptions extends Pick<Stage, 'site' | 'leaseMs' | 'crew' | 'progress' | 'witness' | 'signal'> {
  /** by `progress.now` */
  readonly beganAt: number
  readonly boundMs: number
  /** when the API acknowledged a start at last, by `progress.now` */
  lastStart(): number
  onRecovered(record: Omit<FaultRecord, 'name'>): void
}

/** So many times as long as is allowed is waited, to say how long it really took. */
const PATIENCE = 4
const LOOK_MS = 20

export function createStage({ beganAt, boundMs, lastStart, onRecovered, ...stage }: StageOptions): Stage {
  const { progress, signal } = stage
  return {
    ...stage,
    async hit(harm, given) {
      const executions = given ?? (await progress.unended())
      await harm()
      return { at: progress.now(), executions }
    },
    async recovered(hit, backAt = hit.at) {
      const backMs = backAt - hit.at
      const recovery = await progress.recovered(hit, backMs + PATIENCE * boundMs)
      onRecovered({ atMs: hit.at - beganAt, backMs, ...recovery })
    },
    async answered(hit, backAt) {
      const backMs = backAt - hit.at
      const until = backAt + PATIENCE * boundMs
      while (lastStart() <= backAt && progress.now() < until) await pause(LOOK_MS, undefined, { signal })
      const tookMs = lastStart() > backAt ? lastStart() - hit.at : Number.POSITIVE_INFINITY
      const { length } = hit.executions
      onRecovered({ atMs: hit.at - beganAt, hit: length, backMs, takenUpMs: tookMs, gotOnMs: tookMs, last: [] })
    },
  }
}
