/** What a fault of a drill is: it does harm to what is the drill's own, waits until those who were hit go on, and mends what it broke. */
import { setTimeout as pause } from 'node:timers/promises'
import { encodeId } from '../../ids.ts'
import type { Crew } from '../crew.ts'
import type { Member } from '../member.ts'
import type { Hit, Progress } from '../progress.ts'
import type { Site } from '../site.ts'
import type { Witness } from '../witness.ts'

/** What a fault works with. */
export interface Stage {
  readonly site: Site
  readonly leaseMs: number
  readonly crew: Crew
  readonly progress: Progress
  readonly witness: Pick<Witness, 'isCalling'>
  readonly signal: AbortSignal
  /** Those who will be hit are noted, the harm is done; from then on time is taken. */
  hit(harm: () => void | Promise<void>, executions?: readonly string[]): Promise<Hit>
  /** Resolves when all who were hit have gone on, or when that takes too long. `backAt`: when there was again what they need. */
  recovered(hit: Hit, backAt?: number): Promise<void>
  /** Resolves when the API has acknowledged a start since `backAt`, or when that takes too long. */
  answered(hit: Hit, backAt: number): Promise<void>
}

export interface Fault {
  /** what is done there, as a sentence's end: `a worker is killed` */
  what(site: Site): string
  /** Whether it can be done there; else why not. */
  impossible?(site: Site): string | undefined
  run(stage: Stage): Promise<void>
}

/** So long a fault lasts that nothing waits for. */
export const AWAY_MS = 2_000
/** of a lease: how long a worker is cut off, so that it is taken over from, and comes back when that is done */
const PAST_THE_LEASE = 1.5
const CHOOSING_MS = 50

export const lasting = (ms: number, { signal }: Stage): Promise<void> => pause(ms, undefined, { signal })

/** The worker that is in the middle of most steps, with all that it holds; waits until there is one. */
export async function busiest({ crew, progress, witness, signal }: Stage): Promise<{ worker: Member; executions: string[] }> {
  for (;;) {
    const held = await progress.held(crew.workers.map(({ workerId }) => workerId))
    const busy = crew.workers.map((worker) => {
      const executions = held.get(worker.workerId) ?? []
      return { worker, executions, calling: executions.filter((id) => witness.isCalling(encodeId('execution', id))).length }
    })
    const [best] = busy.toSorted((a, b) => b.calling - a.calling)
    if (best!.calling > 0) return best!
    await pause(CHOOSING_MS, undefined, { signal })
  }
}

/** From `hit` until those who were hit have gone on elsewhere, and the lease is over for sure. */
export async function pastTheLease(stage: Stage, hit: Hit): Promise<void> {
  const { leaseMs, progress } = stage
  await stage.recovered(hit)
  await lasting(Math.max(0, hit.at + PAST_THE_LEASE * leaseMs - progress.now()), stage)
}
