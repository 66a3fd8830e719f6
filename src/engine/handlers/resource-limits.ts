/** What one attempt of a handler may take of the machine, what it took, and how it is told that it took more. */

export interface ResourceLimits {
  /** of an attempt, all threads together */
  readonly cpuMs: number
  /** of the process: its heap and what lies outside of it */
  readonly memoryBytes: number
}

/** Measured in the process of the attempt; what it started itself is not in it. */
export interface ResourceUse {
  readonly cpuMs: number
  /** the most that was seen, ten times a second and at the end; 0 = it was killed before anybody could tell */
  readonly memoryBytes: number
  /** why it was ended */
  readonly exceeded?: Resource
}

export type Resource = 'cpu' | 'memory'

/** The signals by which a process ends itself: neither writes a core, which would hold secrets. */
export const EXCEEDED_BY = { cpu: 'SIGVTALRM', memory: 'SIGUSR2' } as const satisfies Record<Resource, NodeJS.Signals>

/** What Node itself takes outside of the heap. */
const OUTSIDE_MB = 128

/** `heapMb`: of the JavaScript heap, which V8 bounds by itself. */
export const limitsOf = (heapMb: number, cpuMs: number): ResourceLimits => ({
  cpuMs,
  memoryBytes: (heapMb + OUTSIDE_MB) * 1_048_576,
})

/** What Node is told of: bytes of old objects. */
export const heapBytesOf = (memoryBytes: number): number => memoryBytes - OUTSIDE_MB * 1_048_576

/** Of an attempt whose process ended before it could tell: what it is known to have taken at the least. */
export const useAtEnd = ({ cpuMs, memoryBytes }: ResourceLimits, exceeded: Resource | undefined): ResourceUse => ({
  cpuMs: exceeded === 'cpu' ? cpuMs : 0,
  memoryBytes: exceeded === 'memory' ? memoryBytes : 0,
  ...(exceeded && { exceeded }),
})

/** For people; `how` the process ended. */
export function sayExceeded(limits: ResourceLimits, exceeded: Resource, how: string): string {
  if (exceeded === 'cpu') return `The handler took more than ${limits.cpuMs} ms of CPU time.`
  const mb = Math.round(limits.memoryBytes / 1_048_576)
  return `The handler took more memory than it may (${mb} MB with what Node needs): ${how}.`
}
