/** What may be told to a running execution with an idempotency key: answers, votes, signals; and what became of such a key. */
import type { Database } from '../database/database.ts'
import type { Problem } from '../errors.ts'
import { isProblem, problem } from '../errors.ts'
import { newUuid } from '../ids.ts'
import type { Committer } from './commit.ts'
import { derivedUuid } from './decide/derive.ts'
import type { Input } from './decide/input.ts'
import type { Engine, Idempotency } from './engine.ts'
import type { AuditEntry } from '../audit/audit-entry.ts'
import { MAX_SIGNAL_BYTES, MAX_SIGNALS } from './steps/signal.ts'
import type { Worker } from './worker.ts'

/** How long a mutation that found the queue full should wait. */
export const FULL_RETRY_MS = 1000
export const BUSY = problem('LIMIT_REACHED', { message: 'The server is busy; nothing was changed.', retryAfterMs: FULL_RETRY_MS })

interface KeyedOrder {
  executionId: string
  operation: string
  /** what the key stands for from here on */
  subjectId: string
  input: Input
  idempotency?: Idempotency | undefined
  audit?: readonly AuditEntry[] | undefined
  /** when it is not applied: why */
  full?: string
  illegal: string
}

interface Done {
  subjectId: string
  replayed: boolean
}

interface KeyedOrdersOptions {
  database: Pick<Database, 'query'>
  committer: Pick<Committer, 'full'>
  worker: Pick<Worker, 'mailboxes'>
}

export function createKeyedOrders({
  database,
  committer,
  worker,
}: KeyedOrdersOptions): Pick<Engine, 'answer' | 'vote' | 'delegate' | 'signal' | 'startedBefore'> {
  return {
    async answer({ requestId, executionId, decision, data, answeredBy, idempotency, audit }) {
      return answered(
        await carryOut({
          ...{ executionId, operation: 'answerAgentRequest', subjectId: requestId, idempotency, audit },
          input: { kind: 'answered', requestId, decision, data, answeredBy },
          illegal: 'The request is not open any more.',
        }),
      )
    },
    async vote({ requestId, executionId, dataHash, decision, data, by, idempotency, audit }) {
      return answered(
        await carryOut({
          ...{ executionId, operation: 'answerAgentRequest', subjectId: requestId, idempotency, audit },
          input: { kind: 'voted', requestId, dataHash, decision, data, by },
          illegal: 'It is not open any more, or you have voted already.',
        }),
      )
    },
    async delegate({ requestId, executionId, from, to, audit }) {
      return answered(
        await carryOut({
          ...{ executionId, operation: 'delegateApproval', subjectId: requestId, audit },
          input: { kind: 'delegated', requestId, from, to },
          full: 'Too many votes of this approval were handed on.',
          illegal: 'It is not open any more, or one of the two has voted or takes part in a delegation already.',
        }),
      )
    },
    async signal({ executionId, name, data, bytes, sentBy, idempotency, audit }) {
      // one id for calls with one key: of two that come at once the second is a duplicate
      const id = idempotency ? derivedUuid(0, `signal/${idempotency.principalId}/${idempotency.key}`) : newUuid()
      const done = await carryOut({
        ...{ executionId, operation: 'signalExecution', subjectId: executionId, idempotency, audit },
        input: { kind: 'signaled', id, name, data, bytes, sentBy },
        full: `At most ${MAX_SIGNALS} signals and ${MAX_SIGNAL_BYTES} bytes of their data wait to be taken.`,
        illegal: 'The execution has ended, or is about to be canceled.',
      })
      return isProblem(done) ? done : { replayed: done.replayed }
    },
    async startedBefore(idempotency) {
      const done = await findReplay({ idempotency, operation: 'startExecution' })
      return done === undefined || isProblem(done) ? done : { executionId: done.subjectId }
    },
  }

  async function carryOut(order: KeyedOrder): Promise<Done | Problem> {
    const before = await findReplay(order)
    if (before) return before
    if (committer.full) return BUSY
    const { executionId, input, subjectId, operation, idempotency, audit } = order
    const extras = { ...(audit && { audits: audit }), ...(idempotency && { keys: [{ idempotency, operation, subjectId }] }) }
    const posted = await worker.mailboxes.post(executionId, input, { extras, urgent: true })
    if (posted.result === 'missing') return problem('NOT_FOUND')
    if (posted.result === 'applied') return { subjectId, replayed: false }
    if (posted.result === 'full')
      return problem('LIMIT_REACHED', { message: order.full ?? 'There is no room for more.', retryAfterMs: FULL_RETRY_MS })
    return (await findReplay(order)) ?? problem('ILLEGAL_STATE', { message: order.illegal })
  }

  async function findReplay({
    idempotency,
    operation,
  }: Pick<KeyedOrder, 'idempotency' | 'operation'>): Promise<Done | Problem | undefined> {
    if (!idempotency) return undefined
    const { principalId, key, inputHash } = idempotency
    const [row] = await database.query<{ input_hash: Buffer; subject_id: string }>(
      `select input_hash, subject_id from sluice.idempotency_keys where principal_id = $1 and operation = $2 and key = $3`,
      [principalId, operation, key],
    )
    if (!row) return undefined
    if (!row.input_hash.equals(inputHash)) return problem('IDEMPOTENCY_MISMATCH', { path: ['idempotencyKey'] })
    return { subjectId: row.subject_id, replayed: true }
  }
}

const answered = (done: Done | Problem) => (isProblem(done) ? done : { requestId: done.subjectId, replayed: done.replayed })
