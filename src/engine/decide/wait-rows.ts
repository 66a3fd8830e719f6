/** What few transitions store: signals, approvals, origins, failures. Rows of many kinds in one list, so that all others pay for none. */
import type { Vote } from '../in-flight.ts'
import type { BufferedSignal } from './snapshot.ts'

export type WaitRow =
  | ({ kind: 'signal'; id: string; takenBy: string | null } & BufferedSignal)
  | { kind: 'taken'; seq: number; path: string }
  | {
      kind: 'approval'
      requestId: string
      dataHash: string
      quorum: number
      rejects: number
      selfApproval: boolean
      /** `role:USER`, `user:<uuid>`, `handle:ann` */
      approvers: readonly string[]
    }
  | ({ kind: 'vote'; requestId: string; dataHash: string; for: string } & Vote)
  | { kind: 'delegation'; requestId: string; from: string; to: string }
  | ({ kind: 'origin' } & OriginRow)
  /** its flow says what is to be started for that */
  | { kind: 'failed' }
  /** it is started for the failure of that execution: a UUID */
  | { kind: 'failureOf'; id: string }
  /** it is of another flow version from here on */
  | { kind: 'moved'; flowVersionId: string; stepsTotal: number; pool?: string }
  /** what its attempts took so far */
  | { kind: 'tokens'; tokens: number }
  /** a step that is to be run by a worker of a pool; `epoch`: claims of it so far */
  | { kind: 'pooled'; path: string; attempt: number; pool: string; epoch: number }
  /** nobody is to run it any more */
  | { kind: 'unpooled'; path: string }
  /** whoever had it by this claim gives it back */
  | { kind: 'requeued'; path: string; epoch: number }
  /** its execution was paused before it began: nobody is to claim it; `pooled` again when it goes on */
  | { kind: 'setAside'; path: string; epoch: number }
  /** what began it, for those who trace */
  | { kind: 'trace'; traceparent: string }

/** What a new execution goes on with; ids are UUIDs. */
export interface OriginRow {
  /** the execution whose step runs count here; absent: none do */
  retried?: string
  /** of these step runs */
  paths: readonly string[]
  from?: string
  reason?: string
  initiators: readonly string[]
}
