/** What a measured system must be able to do; and the closed loop, the same for all. */
import type { Amount, Shape } from './shapes.ts'

/** One round of one shape. Times in ms. */
export interface Round {
  executions: number
  elapsedMs: number
  /** from the start to the known end, of each execution; closed loops only */
  latenciesMs: number[]
  /** of this process: user and system */
  nodeCpuMs: number
}

export interface System {
  run(shape: Shape, amount: Amount): Promise<Round>
  /** What PostgreSQL counted for this system's connections becomes visible to others. */
  flushCounters(): Promise<void>
  close(): Promise<void>
}

/** Measures `work`, which says how many executions it was. */
export async function timed(work: () => Promise<number>): Promise<Round> {
  const cpu = process.cpuUsage()
  const began = performance.now()
  const executions = await work()
  const elapsedMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  return { executions, elapsedMs, latenciesMs: [], nodeCpuMs: (user + system) / 1000 }
}

/** So many callers; each runs one execution to its end and begins the next, until either bound is reached. */
export async function closedLoop(callers: number, amount: Amount, runOne: () => Promise<void>): Promise<Round> {
  const latenciesMs: number[] = []
  let begun = 0
  const round = await timed(async () => {
    const until = performance.now() + amount.seconds * 1000
    const caller = async (): Promise<void> => {
      while (begun < amount.executions && performance.now() < until) {
        begun++
        const from = performance.now()
        await runOne()
        latenciesMs.push(performance.now() - from)
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return latenciesMs.length
  })
  return { ...round, latenciesMs }
}
