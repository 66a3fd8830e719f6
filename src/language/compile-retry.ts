/** How often a step is tried, compiled: times in ms, classes of step errors resolved to their codes. */
import { STEP_ERRORS } from '../errors.ts'
import type { Retry } from './any-step.ts'
import { didYouMean } from './nearest-name.ts'
import { readDuration } from './read-duration.ts'
import type { TemplateContext } from './template.ts'
import type { RetryPolicy } from './values.ts'

export const NO_RETRY: RetryPolicy = { attempts: 1, firstDelayMs: 500, factor: 2, maxDelayMs: 60_000, jitter: 0.2 }

/** Step errors that are named together in `on` and `notOn`. */
export const ERROR_CLASSES: Readonly<Record<string, readonly string[]>> = {
  timeouts: ['TIMEOUT', 'AGENT_TIMEOUT', 'APPROVAL_TIMEOUT', 'SIGNAL_TIMEOUT'],
  network: ['HTTP_NETWORK', 'CIRCUIT_OPEN'],
  crashes: ['HANDLER_CRASHED', 'RESOURCE_EXCEEDED'],
  failures: ['STEP_FAILED'],
}

/** The narrower name of an answer that was not expected. */
const HTTP_STATUS = /^HTTP_[1-5]\d\d$/

type Context = Pick<TemplateContext, 'issues'>

export function compileRetry(
  retry: Retry | undefined,
  path: readonly string[],
  context: Context,
  otherwise: RetryPolicy = NO_RETRY,
): RetryPolicy {
  if (!retry) return otherwise
  const time = (text: string | undefined, field: string, otherwiseMs: number): number =>
    text === undefined ? otherwiseMs : readDuration(text, [...path, field], context)
  const on = retry.on ? codesOf(retry.on, [...path, 'on'], context) : otherwise.on
  const notOn = retry.notOn ? codesOf(retry.notOn, [...path, 'notOn'], context) : otherwise.notOn
  return {
    attempts: retry.attempts ?? otherwise.attempts,
    firstDelayMs: time(retry.delay, 'delay', otherwise.firstDelayMs),
    factor: retry.factor ?? otherwise.factor,
    maxDelayMs: time(retry.maxDelay, 'maxDelay', otherwise.maxDelayMs),
    jitter: retry.jitter ?? otherwise.jitter,
    ...(on && { on }),
    ...(notOn && { notOn }),
    ...(retry.within !== undefined && { withinMs: readDuration(retry.within, [...path, 'within'], context, 1) }),
  }
}

function codesOf(names: readonly string[], path: readonly string[], { issues }: Context): string[] {
  return names.flatMap((name, i): readonly string[] => {
    if (Object.hasOwn(ERROR_CLASSES, name)) return ERROR_CLASSES[name]!
    if (Object.hasOwn(STEP_ERRORS, name) || HTTP_STATUS.test(name)) return [name]
    const hint = (): string | undefined => didYouMean(name, [...Object.keys(STEP_ERRORS), ...Object.keys(ERROR_CLASSES)])
    issues.add('INVALID_VALUE', [...path, String(i)], 'there is no such step error', hint)
    return []
  })
}
