/** The load of a drill: executions are started at a steady rate through the API, each until the start is acknowledged. */
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
}

export interface Load {
  /** Starts no more; resolves when every start is acknowledged. */
  stop(): Promise<void>
  /** asked for, and not acknowledged yet */
  readonly open: number
}

/** How a load finds its executions again. */
export const LABEL = 'drill'

const START = `mutation ($input: StartExecutionInput!) {
  startExecution(input: $input) { __typename ... on StartExecutionSuccess { execution { id } } ... on Problem { code message } }
}`
type Answer = { startExecution: { __typename: string; execution?: { id: string }; code?: string; message?: string } }

const TRY_AGAIN_MS = { step: 200, longest: 2_000 }
/** What can pass; any other problem is a mistake of the drill. */
const PASSING = new Set(['LIMIT_REACHED'])

export function startLoad({ session, flow, witnessUrl, rate, drill, signal, onStarted }: LoadOptions): Load {
  const starts = new Set<Promise<void>>()
  let stopped = false
  let number = 0
  let failed: Error | undefined

  async function start(mine: number): Promise<void> {
    const input = {
      flow,
      input: { number: mine, witness: witnessUrl },
      idempotencyKey: `${drill}-${mine}`,
      labels: [{ key: LABEL, value: drill }],
    }
    for (let tries = 1; !signal.aborted; tries += 1) {
      // no answer is no news: the same key asks again for the same
      const answer = await session.run<Answer>(START, { input }).catch(() => undefined)
      const { execution, code, message } = answer?.startExecution ?? {}
      if (execution) return onStarted({ id: execution.id, number: mine, tries })
      if (code !== undefined && !PASSING.has(code)) throw new Error(`an execution cannot be started: ${message}`)
      await pause(Math.min(tries * TRY_AGAIN_MS.step, TRY_AGAIN_MS.longest))
    }
  }

  const began = performance.now()
  async function run(): Promise<void> {
    while (!stopped && !signal.aborted) {
      for (; number < ((performance.now() - began) / 1_000) * rate; number += 1) {
        const one = start(number)
          .catch((error: Error) => void (failed ??= error))
          .then(() => void starts.delete(one))
        starts.add(one)
      }
      await pause(1_000 / rate)
    }
  }
  const running = run()

  return {
    get open() {
      return starts.size
    },
    async stop() {
      stopped = true
      await running
      await Promise.all(starts)
      if (failed) throw failed
    },
  }
}
