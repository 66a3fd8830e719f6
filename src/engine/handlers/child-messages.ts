/** What a worker and a handler process say to each other. Each request has a number; answers to any other than the present one are dropped. */
import type { Json } from '../../language/values.ts'
import type { LogLine, Progress } from '../acts/reports.ts'
import type { SecretValues } from '../acts/attempt-mask.ts'
import type { HandlerFailure, HandlerOutcome } from './handler-outcome.ts'
import type { ResourceUse } from './resource-limits.ts'

/** One handler as found in a module: enough to name it and to find it again. */
export interface FoundHandler {
  name: string
  inline: boolean
  exportName: string
}

export interface RunRequest {
  kind: 'run'
  number: number
  file: string
  exportName: string
  input: Json
  executionId: string
  path: string
  attempt: number
  deadlineMs: number
  maxOutputBytes: number
  secrets?: SecretValues
}

export type ToChild =
  | RunRequest
  /** answered by `described` or, when the module cannot be loaded, by `done` */
  | { kind: 'describe'; number: number; file: string }
  /** of the present run */
  | { kind: 'abort'; number: number; reason: string }

export type FromChild =
  | { kind: 'described'; number: number; handlers: FoundHandler[]; problems: string[] }
  /** `spent`: the process must not be used again */
  | {
      kind: 'done'
      number: number
      outcome: HandlerOutcome
      spent: boolean
      stack?: string
      use: ResourceUse
      droppedLines?: number
    }
  /** whatever is in them is read again by who hears them */
  | { kind: 'log'; number: number; line?: LogLine }
  | { kind: 'progress'; number: number; progress?: Progress }
  /** something an ended attempt left behind threw; the present attempt is not to blame, but the process is spent */
  | { kind: 'stray'; failure: HandlerFailure; stack?: string }
