/** A thread in each handler process that its code cannot hold up: it measures, and ends the process when it takes more than it may. */
import { Worker } from 'node:worker_threads'
import type { ResourceUse, ResourceLimits } from './resource-limits.ts'
import { EXCEEDED_BY } from './resource-limits.ts'

export interface ChildWatch {
  /** An attempt begins: what is used from now on is its. */
  begin(): void
  /** What the attempt used; from now on nothing is bounded. `filling`: so much memory is left that the next one might go without. */
  end(): { use: ResourceUse; filling: boolean }
}

/** A process this full is replaced before it ends a later attempt that is not to blame. */
const FULL = 0.75

/** `parent`: its pid. When the worker is gone, or the thread itself, the process ends. */
export function watchProcess(parent: number, limits: ResourceLimits): ChildWatch {
  // [CPU ms of the process when the attempt began, -1 between attempts; the most memory that was seen since]
  const seen = new Float64Array(new SharedArrayBuffer(16))
  seen[0] = -1
  const die = (): void => void process.kill(-process.pid, 'SIGKILL')
  new Worker(WATCH, {
    eval: true,
    workerData: { parent, seen, ...limits, signals: EXCEEDED_BY },
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  })
    .on('error', die)
    .unref()
  return {
    begin() {
      seen[1] = 0
      seen[0] = cpuMs()
    },
    end() {
      const memoryBytes = process.memoryUsage.rss()
      const use = { cpuMs: cpuMs() - seen[0]!, memoryBytes: Math.max(memoryBytes, seen[1]!) }
      seen[0] = -1
      return { use, filling: memoryBytes > limits.memoryBytes * FULL }
    },
  }
}

function cpuMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000
}

/**
 * When the worker is killed, the channel closes, but a main thread in `for (;;) {}` never hears of it; this thread sees the parent's
 * pid change. The signals tell the worker why; code that handles them is killed at the next look. Plain JavaScript in a string,
 * because a TypeScript file would cost it 17 MB.
 */
const WATCH = `
const { parent, seen, cpuMs, memoryBytes, signals } = require('node:worker_threads').workerData
let told = false
const end = (signal) => { process.kill(-process.pid, told ? 'SIGKILL' : signal); told = true }
const look = () => {
  if (process.ppid !== parent) process.kill(-process.pid, 'SIGKILL')
  const rss = process.memoryUsage.rss()
  if (rss > seen[1]) seen[1] = rss
  if (seen[0] < 0) return
  const { user, system } = process.cpuUsage()
  if (rss > memoryBytes) end(signals.memory)
  else if ((user + system) / 1000 - seen[0] > cpuMs) end(signals.cpu)
}
look()
setInterval(look, 100)`
