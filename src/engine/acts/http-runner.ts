/** Runs the steps of type `http` in the worker itself, through the guarded client: what they wait for is the network. */
import { bulkhead } from 'cockatiel'
import type { HttpSpec } from '../../language/steps/http.ts'
import type { GuardedClient } from '../../outbound/guarded-client.ts'
import type { Logger } from '../../log.ts'
import { failed } from '../handlers/handler-outcome.ts'
import type { ActCall, ActOutcome, ActRunner } from './act-runner.ts'
import { AttemptMask } from './attempt-mask.ts'
import { outcomeOf, requestOf, toldSecrets } from './http-call.ts'

export interface HttpRunnerOptions {
  readonly client: GuardedClient
  readonly log: Logger
  /** under way at the same time; further calls wait, and their time does not run; 64 */
  readonly maxCalls?: number
  /** 1,000,000 */
  readonly maxOutputBytes?: number
  /** a call that may not be made, for the audit log (A7) */
  readonly onRefused?: (call: ActCall<HttpSpec>) => void
}

export function createHttpRunner(options: HttpRunnerOptions): ActRunner<HttpSpec> {
  const { client, log, maxCalls = 64, maxOutputBytes = 1_000_000, onRefused } = options
  // those whose secrets are looked up are not in it yet: they may have to wait here
  const room = bulkhead(maxCalls, Number.POSITIVE_INFINITY)

  const runner: ActRunner<HttpSpec> = {
    hasRoom: () => room.executionSlots > 0,
    run(call) {
      const canceled = new AbortController()
      const { signal } = canceled
      const stopped = new Promise<ActOutcome>((resolve) =>
        signal.addEventListener('abort', () => resolve(failed('CANCELED', String(signal.reason)))),
      )
      // whoever hears of its end looks for room again; one that was stopped leaves its place a little later
      const sent = room.execute(() => send(call, signal)).finally(() => signal.aborted && runner.onRoom?.())
      return { outcome: Promise.race([sent, stopped]), abort: (reason) => canceled.abort(reason) }
    },
  }
  return runner

  async function send(call: ActCall<HttpSpec>, signal: AbortSignal): Promise<ActOutcome> {
    const { spec, secrets, hide, deadlineMs, executionId, path, attempt } = call
    try {
      const limits = { timeoutMs: deadlineMs, maxBytes: spec.maxBytes, signal }
      const request = requestOf(call)
      const result = await client.request({ ...request, ...limits })
      const outcome = new AttemptMask(toldSecrets(spec, request, secrets), hide).outcome(outcomeOf(spec, result, maxOutputBytes))
      if (!outcome.ok && outcome.code === 'HTTP_REFUSED') onRefused?.(call)
      return outcome
    } catch (error) {
      log.error({ err: error, executionId, path, attempt }, 'an http step could not be run')
      return failed('STEP_FAILED', 'The call could not be made.')
    }
  }
}
