/** An attempt that needs secrets: they are looked up when it is about to begin, and go nowhere but to its runner. */
import { failed } from '../handlers/handler-outcome.ts'
import type { RunningAct } from './act-runner.ts'
import type { SecretValues } from './attempt-mask.ts'

/** Which attempt asks for what; ids are UUIDs. */
export interface SecretsOrder {
  readonly executionId: string
  readonly path: string
  readonly attempt: number
  readonly names: readonly string[]
}
export type OpenedSecrets =
  | { readonly ok: true; readonly values: SecretValues }
  | { readonly ok: false; readonly message: string }
/** All of them, or why the attempt may not have them: checked anew each time (A1). `message` is shown with the step. */
export type OpenSecrets = (order: SecretsOrder) => Promise<OpenedSecrets>

export function runWithSecrets(open: Promise<OpenedSecrets>, run: (secrets: SecretValues) => RunningAct): RunningAct {
  let running: RunningAct | undefined
  let stopped: string | undefined
  const begin = async (): Promise<Awaited<RunningAct['outcome']>> => {
    const opened = await open.catch((): OpenedSecrets => ({ ok: false, message: 'They could not be looked up.' }))
    if (stopped !== undefined) return failed('CANCELED', stopped)
    if (!opened.ok) return failed('SECRET_UNAVAILABLE', opened.message)
    running = run(opened.values)
    return running.outcome
  }
  return {
    outcome: begin(),
    abort(reason) {
      if (running) running.abort(reason)
      else stopped ??= reason
    },
  }
}
