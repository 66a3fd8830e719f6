/** Runs the steps of type `query`: on the source that they name, as many at a time as it has connections; the others wait their turn. */
import type { QuerySource, SourceRows } from '../../database/query-source.ts'
import { SourceError } from '../../database/query-source.ts'
import type { QuerySpec } from '../../language/steps/query.ts'
import type { Json } from '../../language/values.ts'
import { MAX_STATE_BYTES } from '../../language/payload.ts'
import { checkedOutput, failed } from '../handlers/handler-outcome.ts'
import type { ActCall, ActFailure, ActOutcome, ActRunner, RunningAct } from './act-runner.ts'
import { AttemptMask } from './attempt-mask.ts'

/** On the wire a row takes about as much as in JSON: what is over this cannot be kept. */
const MAX_WIRE_BYTES = 2 * MAX_STATE_BYTES

export function createQueryRunner(sources: ReadonlyMap<string, QuerySource>): ActRunner<QuerySpec> {
  const turns = new Map([...sources.values()].map((source) => [source.name, new Turns(source.size)]))
  return {
    // each source has a queue of its own: a slow one does not hold up the others
    hasRoom: () => true,
    run(call) {
      const source = sources.get(call.spec.source)
      if (!source) return notConfigured(call.spec.source)
      return begin(source, turns.get(source.name)!, call)
    },
  }
}

function begin(source: QuerySource, turns: Turns, { spec, input, deadlineMs }: ActCall<QuerySpec>): RunningAct {
  const stop = new AbortController()
  const attempt = async (): Promise<ActOutcome> => {
    if (!(await turns.take(stop.signal))) return canceled(stop.signal)
    const query = {
      sql: spec.sql,
      params: input as Json[],
      maxRows: spec.maxRows,
      maxBytes: MAX_WIRE_BYTES,
      timeoutMs: deadlineMs,
    }
    try {
      return NO_SECRETS.outcome(checkedOutput(asOutput(await source.run(query, stop.signal)), MAX_STATE_BYTES))
    } catch (error) {
      return stop.signal.aborted ? canceled(stop.signal) : asFailure(error)
    } finally {
      turns.giveBack()
    }
  }
  return { outcome: attempt(), abort: (reason) => stop.abort(reason) }
}

/** Columns with names of secrets are masked here as in every output. */
const NO_SECRETS = new AttemptMask()

const asOutput = ({ rows, truncated }: SourceRows): object => ({ rows, count: rows.length, truncated })

const canceled = (signal: AbortSignal): ActFailure => failed('CANCELED', String(signal.reason))

function notConfigured(source: string): RunningAct {
  const outcome = failed('NOT_ALLOWED', `No source ${source} is configured on this worker.`)
  return { outcome: Promise.resolve(outcome), abort: () => undefined }
}

/** Faults of the connection, conflicts, locks, a source that is full or going down: another attempt may help. */
const PASSING = /^(08|40|53|55P03|57P|58)/

function asFailure(error: unknown): ActFailure {
  if (!(error instanceof SourceError)) return failed('QUERY_FAILED', 'The query failed.')
  const { reason, message, sqlState } = error
  switch (reason) {
    case 'TIMEOUT':
      return failed('TIMEOUT', message)
    case 'TOO_LARGE':
      return { ...failed('STATE_TOO_LARGE', message), retryable: false }
    case 'DUPLICATE_COLUMN':
      return { ...failed('INVALID_OUTPUT', message), retryable: false }
    default:
      return { ...failed('QUERY_FAILED', message), retryable: sqlState === undefined || PASSING.test(sqlState) }
  }
}

/** So many at a time, first come first served. */
class Turns {
  #free: number
  readonly #waiting = new Set<() => void>()

  constructor(size: number) {
    this.#free = size
  }

  /** False: it was aborted before its turn came. */
  take(signal: AbortSignal): Promise<boolean> {
    if (signal.aborted) return Promise.resolve(false)
    if (this.#free > 0) {
      this.#free -= 1
      return Promise.resolve(true)
    }
    return new Promise((resolve) => {
      const gone = (): void => {
        this.#waiting.delete(turn)
        resolve(false)
      }
      const turn = (): void => {
        signal.removeEventListener('abort', gone)
        resolve(true)
      }
      this.#waiting.add(turn)
      signal.addEventListener('abort', gone, { once: true })
    })
  }

  giveBack(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#free += 1
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
