/** Every fault that a drill knows, in the order in which they are done. */
import { cutWorker } from './cut-worker.ts'
import { dropRedis } from './drop-redis.ts'
import type { Fault } from './fault.ts'
import { killApi } from './kill-api.ts'
import { killWorker } from './kill-worker.ts'
import { pauseWorker } from './pause-worker.ts'
import { restartPostgres } from './restart-postgres.ts'

export const FAULTS = {
  'kill-worker': killWorker,
  'drop-redis': dropRedis,
  'restart-postgres': restartPostgres,
  'pause-worker': pauseWorker,
  'cut-worker': cutWorker,
  'kill-api': killApi,
} as const satisfies Record<string, Fault>

export type FaultName = keyof typeof FAULTS

export const FAULT_NAMES = Object.keys(FAULTS) as FaultName[]
