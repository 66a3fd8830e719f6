/** How triggers start executions: what they ask for, and what comes of it. `app.ts` hands in the function that does it. */
import type { Trigger } from './entities/trigger.ts'

export interface TriggeredStart {
  trigger: Pick<Trigger, 'id' | 'type' | 'name' | 'flowId' | 'publishedBy'>
  input: unknown
  /** UUID of the execution, where it was made before */
  executionId?: string
  /** of this firing, unique among those of the trigger: it starts once, however often it is asked for; at most 100 characters */
  firing: string
  labels?: Record<string, string>
  /** not before this */
  startAt?: Date
}

/** Data, to be kept with the firing. `retryAfterMs`: it may be tried again; a limit was reached. */
export type TriggeredResult =
  | { ok: true; executionId: string; replayed: boolean }
  | { ok: false; code: string; message: string; retryAfterMs?: number }

/** As whoever published the trigger, with the rights that they have now. Rejects when the database does not answer: then nothing is known. */
export type StartByTrigger = (start: TriggeredStart) => Promise<TriggeredResult>
