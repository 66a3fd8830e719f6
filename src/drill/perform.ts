/** The load of a drill, and one fault after the other beside it. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Session } from '../../clients/feed/session.ts'
import type { FaultRecord } from './check.ts'
import type { Crew } from './crew.ts'
import { FAULTS } from './faults/all.ts'
import type { Fault } from './faults/fault.ts'
import type { Followers } from './followers.ts'
import { startLoad } from './load.ts'
import type { Started } from './load.ts'
import type { DrillPlan, PlannedFault } from './plan.ts'
import type { Progress } from './progress.ts'
import type { Site } from './site.ts'
import { createStage } from './stage.ts'
import type { Witness } from './witness.ts'

/** How it goes, told several times a second while the load lasts. */
export interface DrillNews {
  /** ms since the load began */
  readonly atMs: number
  /** when the witness was called, ms since the load began */
  readonly calls: readonly number[]
  readonly started: number
  readonly ended: number
  /** what is being done */
  readonly fault: PlannedFault | undefined
  readonly faults: readonly FaultRecord[]
}

export interface Performance {
  readonly site: Site
  readonly plan: DrillPlan
  readonly crew: Crew
  readonly witness: Witness
  readonly progress: Progress
  readonly followers: Followers
  readonly session: Session
  readonly flow: string
  readonly drill: string
  readonly signal: AbortSignal
  onNews(news: DrillNews): void
}

export interface Performed {
  readonly started: readonly Started[]
  /** starts that nobody answered: some may have started something */
  readonly unanswered: number
  readonly faults: readonly FaultRecord[]
  /** ms since the load began */
  readonly calls: readonly number[]
  readonly lengthMs: number
}

const NEWS_MS = 250
/** Starts that nobody answers are given up then: what was never acknowledged was never promised. */
const ACKNOWLEDGED_WITHIN_MS = 30_000

export async function perform({ onNews, ...given }: Performance): Promise<Performed> {
  const { plan, crew, site, witness, progress, followers, signal } = given
  const started: Started[] = []
  const faults: FaultRecord[] = []
  let fault: PlannedFault | undefined
  let lastStart = 0
  const ended = (): number => followers.executions.filter(({ finishedAt }) => finishedAt !== null).length
  const load = startLoad({
    ...given,
    ...{ rate: plan.rate, witnessUrl: witness.url },
    unended: () => started.length - ended(),
    onStarted(one) {
      started.push(one)
      lastStart = progress.now()
      followers.follow(one.id)
    },
  })
  const beganAt = progress.now()
  const sinceBegin = (): number => progress.now() - beganAt
  const calls = (): number[] => witness.times.map((at) => at - beganAt)
  const tell = (): void => {
    onNews({ atMs: sinceBegin(), calls: calls(), started: started.length, ended: ended(), fault, faults })
  }
  const telling = setInterval(tell, NEWS_MS)
  let unanswered = 0
  try {
    for (const planned of plan.faults) {
      const { name, atMs } = planned
      await pause(Math.max(0, atMs - sinceBegin()), undefined, { signal })
      fault = planned
      const onRecovered = (record: Omit<FaultRecord, 'name'>): void => void faults.push({ name, ...record })
      const stage = createStage({
        ...{ site, crew, progress, witness, signal, beganAt, onRecovered },
        ...{ leaseMs: plan.leaseMs, boundMs: plan.boundMs, lastStart: () => lastStart },
      })
      await (FAULTS[name] satisfies Fault).run(stage)
      fault = undefined
    }
    await pause(Math.max(0, plan.lengthMs - sinceBegin()), undefined, { signal })
    unanswered = await load.stop(ACKNOWLEDGED_WITHIN_MS)
    signal.throwIfAborted()
    tell()
  } finally {
    clearInterval(telling)
  }
  return { started, unanswered, faults, calls: calls(), lengthMs: sinceBegin() }
}
