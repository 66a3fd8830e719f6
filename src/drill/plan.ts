/** What a drill is to do: which faults, when, beside which load. Pure. */
import { FAULT_NAMES, FAULTS } from './faults/all.ts'
import type { FaultName } from './faults/all.ts'
import type { Fault } from './faults/fault.ts'
import type { Site } from './site.ts'

export interface DrillOrder {
  /** undefined: every fault that is possible */
  readonly only?: readonly FaultName[] | undefined
  /** how many are started while the drill lasts as long as planned */
  readonly executions: number
  readonly seconds: number
  readonly workers: number
}

export interface PlannedFault {
  readonly name: FaultName
  /** a sentence's end */
  readonly what: string
  /** ms since the load began; later when the fault before it takes longer */
  readonly atMs: number
}

export interface DrillPlan {
  readonly faults: readonly PlannedFault[]
  /** those that cannot be done here, with why */
  readonly skipped: readonly { readonly name: FaultName; readonly why: string }[]
  /** executions a second */
  readonly rate: number
  readonly lengthMs: number
  readonly leaseMs: number
  /** from a fault, or from when there is again what was missing, until all who were hit go on */
  readonly boundMs: number
}

export const DEFAULT_ORDER: DrillOrder = { executions: 1_200, seconds: 60, workers: 3 }

/** Over the lease: finding out, and taking over. */
const GRACE_MS = 2_000
/** Nothing is broken at first, so that there is something to compare with. */
const QUIET_MS = 4_000

export function planDrill({ only = FAULT_NAMES, executions, seconds }: DrillOrder, site: Site, leaseMs: number): DrillPlan {
  const judged = FAULT_NAMES.filter((name) => only.includes(name)).map((name) => {
    const fault: Fault = FAULTS[name]
    return { name, what: fault.what(site), why: fault.impossible?.(site) }
  })
  const possible = judged.filter(({ why }) => why === undefined)
  const lengthMs = seconds * 1_000
  const quietMs = Math.min(QUIET_MS, lengthMs / 4)
  const apartMs = (lengthMs - quietMs) / Math.max(1, possible.length)
  return {
    faults: possible.map(({ name, what }, index) => ({ name, what, atMs: Math.round(quietMs + index * apartMs) })),
    skipped: judged.flatMap(({ name, why }) => (why === undefined ? [] : [{ name, why }])),
    rate: executions / seconds,
    lengthMs,
    leaseMs,
    boundMs: leaseMs + GRACE_MS,
  }
}
