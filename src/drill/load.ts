/** The load of a drill: executions are started at a steady rate through the API, each until the start is acknowledged. Whoever does not keep up gets fewer. */
import { setTimeout as pause } from 'node:timers/promises'
import type { Session } from '../../clients/feed/session.ts'

/** An execution that the API said it has started. */
export interface Started {
  readonly id: string
  /** its input */
  readonly number: number
  /** how often it was asked for: more than once when no answer came */
  readonly tries: number
}

export interface LoadOptions {
  readonly session: Session
  readonly flow: string
  readonly witnessUrl: string
  /** executions a second */
  readonly rate: number
  /** of this drill: in each key, and as a label */
  readonly drill: string
  readonly signal: AbortSignal
  onStarted(started: Started): void
  /** of those that were acknowledged, how many have not ended */
  unended(): number
}

export interface Load {
  /** Starts no more; resolves when every start is acknowledged or `withinMs` are over, with how many are not. Rejects with what the API has against one. */
  stop(withinMs: number): Promise<number>
}

/** How a load finds its executions again. */
export const LABEL = 'drill'

const START = `mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) { __typename ... on StartExecutionSuccess { execution { id } } ... on Problem { code message } }
}`
type Answer = { startExecution: { __typename: string; execution?: { id: string }; code?: string; message?: string } }

/** As many as are started in this time may be under way: more would show how a fleet drowns, not how it recovers. */
const UNDER_WAY_MS = 15_000
const TRY_AGAIN_MS = { step: 200, longest: 2_000 }
/** What can pass; any other problem is a mistake of the drill. */
const PASSING = new Set(['LIMIT_REACHED'])

export function startLoad({ session, flow, witnessUrl, rate, drill, signal, onStarted, unended }: LoadOptions): Load {
  const starts = new Set<Promise<void>>()
  const most = Math.ceil((rate * UNDER_WAY_MS) / 1_000)
  let stopped = false
  let givenUp = false
  let number = 0
  let failed: Error | undefined

  async function start(mine: number): Promise<void> {
    const input = {
      flow,
      input: { number: mine, witness: witnessUrl },
      idempotencyKey: `${drill}-${mine}`,
      labels: [{ key: LABEL, value: drill }],
    }
    for (let tries = 1; !signal.aborted && !givenUp; tries += 1) {
      // no answer is no news: the same key asks again for the same
      const answer = await session.run<Answer>(START, { input }).catch(() => undefined)
      const { execution, code, message } = answer?.startExecution ?? {}
      if (execution) return onStarted({ id: execution.id, number: mine, tries })
      if (code !== undefined && !PASSING.has(code)) throw new Error(`an execution cannot be started: ${message}`)
      await pause(Math.min(tries * TRY_AGAIN_MS.step, TRY_AGAIN_MS.longest))
    }
  }

  function begin(): void {
    const one = start(number)
      .catch((error: Error) => void (failed ??= error))
      .then(() => void starts.delete(one))
    starts.add(one)
    number += 1
  }

  const eachMs = 1_000 / rate
  async function run(): Promise<void> {
    for (let nextAt = performance.now(); !stopped && !signal.aborted; await pause(eachMs)) {
      const due = Math.floor((performance.now() - nextAt) / eachMs) + 1
      nextAt += due * eachMs
      // what there was no room for is not made up for
      for (let left = Math.min(due, most - starts.size - unended()); left > 0; left -= 1) begin()
    }
  }
  const running = run()

  return {
    async stop(withinMs) {
      stopped = true
      await running
      const late = new AbortController()
      await Promise.race([Promise.all(starts), pause(withinMs, undefined, { signal: late.signal }).catch(() => undefined)])
      late.abort()
      givenUp = true
      if (failed) throw failed
      return starts.size
    },
  }
}
