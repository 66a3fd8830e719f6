/** Starts executions: what they need before they can begin, their one commit, and what the limits say of it. */
import type { AuditEntry } from '../audit/audit-entry.ts'
import type { Database } from '../database/database.ts'
import type { Problem } from '../errors.ts'
import { isProblem, problem } from '../errors.ts'
import { newUuid } from '../ids.ts'
import { MAX_STATE_BYTES } from '../language/payload.ts'
import { traceExecution } from '../tracing.ts'
import type { Committer } from './commit.ts'
import { mayAdopt } from './decide/draft.ts'
import type { Extras } from './encode.ts'
import type { Engine, Idempotency, RetryOf, StartOrder } from './engine.ts'
import { BUSY, FULL_RETRY_MS } from './keyed-orders.ts'
import { newSnapshot } from './new-snapshot.ts'
import { originOf, withReused } from './origin.ts'
import { slotOf } from './slots.ts'
import type { SlotAsk } from './slots.ts'
import type { RateVerdict, StartRates } from './start-rates.ts'
import type { Worker } from './worker.ts'

export interface StarterOptions {
  database: Database
  committer: Pick<Committer, 'full'>
  worker: Pick<Worker, 'mailboxes' | 'world'>
  rates: StartRates
  planRetry: Engine['planRetry']
  startedBefore: Engine['startedBefore']
}

type Started = Awaited<ReturnType<Engine['start']>>

export function createStarter(options: StarterOptions): Engine['start'] {
  const { database, committer, worker, rates, planRetry, startedBefore } = options
  return async (order) => {
    if (committer.full) return BUSY
    const bytes = Buffer.byteLength(order.inputText)
    if (bytes > MAX_STATE_BYTES) {
      return problem('STATE_TOO_LARGE', {
        message: `The input is ${bytes} bytes; the limit is ${MAX_STATE_BYTES}.`,
        path: ['input'],
      })
    }
    const rate = order.program.rates && (await rates.take(order))
    const refused = rate && (await refusedBy(rate, order.idempotency))
    if (refused) return refused
    const started = await store(order, bytes)
    // a replay was counted when it started
    if (rate?.kind === 'taken' && ('problem' in started || started.replayed)) rate.giveBack()
    return started
  }

  /** Whoever asks again for what was started hears of it, whatever the limits say by now. */
  async function refusedBy(rate: RateVerdict, idempotency: Idempotency | undefined): Promise<Started | undefined> {
    if (rate.kind === 'taken') return undefined
    const before = idempotency && (await startedBefore(idempotency))
    if (before) return isProblem(before) ? before : { ...before, replayed: true }
    if (rate.kind === 'noKey') return noKey(rate.message)
    return problem('LIMIT_REACHED', { message: rate.message, retryAfterMs: rate.retryAfterMs })
  }

  async function store(order: StartOrder, bytes: number): Promise<Started> {
    const now = database.clock.now()
    const slot = slotOf(
      order.program,
      order.input,
      order.startAt !== undefined && order.startAt > now ? order.startAt : undefined,
    )
    if (!slot.ok) return noKey(slot.message)
    const snapshot = withReused(newSnapshot({ id: newUuid(), ...order }, bytes, now, slot.value), order.retry)
    // what waits, for its time or for a slot, is claimed when that is over
    const mayHold = snapshot.wakeAt === null && mayAdopt(worker.world(), order.program)
    const { idempotency } = order
    const traceparent = traceExecution(snapshot.id)
    const extras: Extras = {
      start: {
        ...{ inputText: order.inputText, priority: order.priority ?? 0, labels: order.labels ?? null, parentId: null },
        ...{ retryOf: order.retry?.executionId ?? null, runningLimit: order.runningLimit, ...(idempotency && { idempotency }) },
        ...(order.retry && { origin: originOf(order.retry) }),
        ...(order.failureOf !== undefined && { failureOf: order.failureOf }),
        ...(order.triggerId !== undefined && { triggerId: order.triggerId }),
        ...(slot.value && { slot: slot.value }),
        ...(traceparent !== undefined && { traceparent }),
      },
      audits: aimed(order.audit, snapshot),
    }
    const begun = worker.mailboxes.begin(snapshot, { kind: mayHold ? 'started' : 'tick' }, extras)
    const posted = await (order.retry?.reuse ? begun.catch((error: unknown) => whyNotAgain(order.retry!, error)) : begun)
    if (isProblem(posted)) return posted
    switch (posted.result) {
      case 'replayed':
        return { executionId: posted.executionId, replayed: true }
      case 'mismatch':
        return problem('IDEMPOTENCY_MISMATCH', { path: ['idempotencyKey'] })
      case 'limit':
        return problem('LIMIT_REACHED', {
          message: `At most ${order.runningLimit} executions of one initiator may run; wait until one has ended.`,
          retryAfterMs: FULL_RETRY_MS,
        })
      case 'noSlot':
        return noSlot(slot.value!)
      default:
        return { executionId: snapshot.id, replayed: false }
    }
  }

  /** Of two who try an execution again at once the second cannot be stored. */
  async function whyNotAgain({ executionId }: RetryOf, error: unknown): Promise<Problem> {
    const planned = await planRetry({ executionId })
    if (isProblem(planned)) return planned
    throw error
  }
}

const noKey = (message: string): Problem =>
  problem('VALIDATION', { path: ['input'], message: `The input gives no key: ${message}` })

function noSlot({ key, hidden, most, mostQueued }: SlotAsk): Problem {
  const whose = key === '' || hidden ? '' : ` with the key ${JSON.stringify(key)}`
  const waiting = mostQueued === 0 ? '' : `, and ${mostQueued} may wait`
  const message = `At most ${most} executions of this flow${whose} may run${waiting}; wait until one has ended.`
  return problem('LIMIT_REACHED', { message, retryAfterMs: FULL_RETRY_MS })
}

/** The execution's id is made here, so its audit entries learn it here. */
function aimed(entries: readonly AuditEntry[] | undefined, { id, flowId }: { id: string; flowId: string }): AuditEntry[] {
  return (entries ?? []).map((entry) => ({ ...entry, executionId: id, flowId }))
}
