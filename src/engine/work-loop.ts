/**
 * A worker's look for work: one question to the database, and what it says is there is claimed or fired; then when to look again. Most
 * looks find nothing, so the question is all that they cost.
 */
import type { Database } from '../database/database.ts'
import type { Dispatch } from '../fleet/dispatch.ts'
import type { Logger } from '../log.ts'
import { createLoop } from '../loop.ts'
import type { Loop } from '../loop.ts'
import type { Claimer } from './claimer.ts'
import { findWork } from './find-work.ts'
import type { OverdueSweep } from './overdue-sweep.ts'
import type { PooledSteps } from './pooled-steps.ts'

export interface WorkLoopOptions {
  database: Database
  workerId: string
  pools: readonly string[]
  dispatch: Pick<Dispatch, 'lookEveryMs'>
  claimer: Pick<Claimer, 'look' | 'room'>
  steps: Pick<PooledSteps, 'look'>
  overdue: OverdueSweep
  /** it has room after a look */
  hasRoom(): void
  log: Logger
}

export interface WorkLoop extends Loop {
  runOnce(): Promise<void>
  /** In this second, about, it is the worker of all that does what one is enough for. */
  readonly isFirst: boolean
  /** Something is ready, as was said: it is claimed without asking. */
  lookForReady(): void
  /** Something is due at `at`, ms since 1970, and others may not know of it in time: it looks then, whoever's turn that is. */
  expect(at: number): void
}

/** Between looks for work when nothing rings: what a lost hint costs. */
const POLL_MS = 1000

export function createWorkLoop(options: WorkLoopOptions): WorkLoop {
  const { database, workerId, pools, dispatch, claimer, steps, overdue, hasRoom, log } = options
  const now = (): number => database.clock.now()
  const loop = createLoop({ name: 'claim', log, runOnce: look })
  /** by the monotonic clock, when ready executions are looked for again; 0: at the next look, without asking */
  let readyLookAt = 0
  /** infinite while it looks: not known yet */
  let nextLookAt = 0
  let expectedAt = Number.POSITIVE_INFINITY
  let isFirst = false

  return {
    ...loop,
    get isFirst() {
      return isFirst
    },
    runOnce: async () => void (await look()),
    lookForReady() {
      readyLookAt = 0
      loop.wake()
    },
    expect(at) {
      if (at >= Math.min(nextLookAt, now() + POLL_MS)) return
      expectedAt = Math.min(expectedAt, at)
      // the look that is under way ends with it in mind
      if (nextLookAt < Number.POSITIVE_INFINITY) loop.wake()
    },
  }

  /** How many ms until the next look. */
  async function look(): Promise<number> {
    const isRung = readyLookAt === 0
    const ready = performance.now() >= readyLookAt
    if (ready) readyLookAt = performance.now() + dispatch.lookEveryMs
    if (now() >= expectedAt) expectedAt = Number.POSITIVE_INFINITY
    nextLookAt = Number.POSITIVE_INFINITY
    const ask = () => findWork(database, { worker: workerId, pools, ready })
    let work = isRung ? undefined : await ask()
    let took = isRung
    /** what comes to be overdue meanwhile is looked at soon */
    let canFire = true
    const claims = !work || (work.claimable && claimer.room() > 0)
    if (!work || claims || work.overdue) {
      if (claims) took = (await claimer.look(ready)) || took
      if (work?.overdue) canFire = await overdue.fire()
      work = await ask()
      // whoever is rung all the time never asked before
      if (isRung && work.overdue) canFire = await overdue.fire()
    }
    isFirst = work.isFirst
    if (isFirst) await overdue.fireElsewhere()
    const goesOn = work.stepsWait && (await steps.look())
    // a look has its time, and goes on in the next one
    if (ready && work.claimable && took) readyLookAt = Math.min(readyLookAt, performance.now())
    // what is due stays due while it cannot be claimed
    const isLeft = work.claimable || (work.overdue && canFire)
    const most = goesOn || (isLeft && took) ? 0 : isLeft || claimer.room() === 0 ? POLL_MS / 10 : POLL_MS
    const pause = Math.max(0, Math.min(most, (work.nextAt ?? Infinity) - now(), expectedAt - now()))
    nextLookAt = now() + pause
    if (claimer.room() > 0) hasRoom()
    return pause
  }
}
