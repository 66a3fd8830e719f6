/** What is known of each origin that was called: its circuit breaker and its bulkhead (A12). The least recently called are forgotten. */
import {
  BrokenCircuitError,
  BulkheadRejectedError,
  bulkhead,
  CircuitState,
  circuitBreaker,
  ConsecutiveBreaker,
  handleWhen,
  TaskCancelledError,
} from 'cockatiel'
import type { BulkheadPolicy, CircuitBreakerPolicy } from 'cockatiel'
import { LRUCache } from 'lru-cache'
import { OutboundFailure } from './outbound-problem.ts'

export interface CircuitSettings {
  /** failures in a row that open a circuit, 5 */
  readonly failures?: number
  /** how long an open circuit lets nothing through, 10,000; then one request tries */
  readonly openMs?: number
  /** requests to one origin at the same time, 32 */
  readonly perOrigin?: number
  /** requests that wait for one of these, 256 */
  readonly waiting?: number
  /** origins remembered, 1,000 */
  readonly origins?: number
}

export type CircuitName = 'closed' | 'open' | 'half-open'

export interface Circuits {
  /**
   * Runs it when the origin's circuit and bulkhead let it; else rejects with an `OutboundFailure`. What counts against the origin:
   * an `OriginFault`, and the statuses of services that are not well.
   */
  through<T extends { readonly status: number }>(origin: string, signal: AbortSignal, run: () => Promise<T>): Promise<T>
  /** of every origin that is remembered */
  states(): ReadonlyMap<string, CircuitName>
}

/** The origin's own fault: it counts against it, and `failure` is what is told. */
export class OriginFault extends Error {
  readonly failure: OutboundFailure

  constructor(failure: OutboundFailure) {
    super(failure.message)
    this.failure = failure
  }
}

/** Said by what stands before a service; a 500 may be the fault of one request. */
const NOT_WELL: ReadonlySet<unknown> = new Set([502, 503, 504])

const NAMES: Readonly<Record<CircuitState, CircuitName>> = {
  [CircuitState.Closed]: 'closed',
  [CircuitState.Open]: 'open',
  [CircuitState.HalfOpen]: 'half-open',
  [CircuitState.Isolated]: 'open',
}

export function createCircuits(settings: CircuitSettings = {}): Circuits {
  const { failures = 5, openMs = 10_000, perOrigin = 32, waiting = 256, origins = 1_000 } = settings
  const known = new LRUCache<string, { breaker: CircuitBreakerPolicy; room: BulkheadPolicy }>({ max: origins })

  const of = (origin: string): { breaker: CircuitBreakerPolicy; room: BulkheadPolicy } => {
    const found = known.get(origin)
    if (found) return found
    const counted = handleWhen((error) => error instanceof OriginFault).orWhenResult((answer) =>
      NOT_WELL.has((answer as { status: number }).status),
    )
    const breaker = circuitBreaker(counted, { halfOpenAfter: openMs, breaker: new ConsecutiveBreaker(failures) })
    const made = { breaker, room: bulkhead(perOrigin, waiting) }
    known.set(origin, made)
    return made
  }

  return {
    async through(origin, signal, run) {
      const { breaker, room } = of(origin)
      try {
        // what waited in the bulkhead asks the circuit when its turn comes
        return await room.execute(() => breaker.execute(run), signal)
      } catch (error) {
        throw told(error, origin)
      }
    },
    states: () => new Map([...known.entries()].map(([origin, { breaker }]) => [origin, NAMES[breaker.state]])),
  }
}

function told(error: unknown, origin: string): unknown {
  if (error instanceof OriginFault) return error.failure
  if (error instanceof BrokenCircuitError)
    return new OutboundFailure('CIRCUIT_OPEN', `${origin} failed again and again; it is left alone for a while.`)
  if (error instanceof BulkheadRejectedError) return new OutboundFailure('BUSY', `Too many requests to ${origin} are under way.`)
  if (error instanceof TaskCancelledError) return new OutboundFailure('CANCELED', 'It was canceled before it was sent.')
  return error
}
