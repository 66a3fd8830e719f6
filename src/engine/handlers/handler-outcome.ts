/** How an attempt of a handler ended, as data; and the only places where thrown values and outputs become outcomes. */
import type { StepErrorCode } from '../../errors.ts'
import { checkPayload } from '../../language/payload.ts'
import { storableText } from '../../storable-text.ts'

export type HandlerErrorCode = Extract<
  StepErrorCode,
  | 'STEP_FAILED'
  | 'TIMEOUT'
  | 'INVALID_OUTPUT'
  | 'UNSTORABLE_OUTPUT'
  | 'STATE_TOO_LARGE'
  | 'HANDLER_CRASHED'
  | 'RESOURCE_EXCEEDED'
  | 'HANDLER_NOT_REGISTERED'
  | 'CANCELED'
  | 'SECRET_UNAVAILABLE'
>

/** `message`: at most 2,000 characters, storable in the database, without a stack. */
export interface HandlerFailure {
  ok: false
  code: HandlerErrorCode
  message: string
  /** said by the handler; absent when it said nothing */
  retryable?: boolean
  retryAfterMs?: number
}

/** `text`: compact JSON of the output; `bytes`: its length in UTF-8. */
export type HandlerOutcome = { ok: true; text: string; bytes: number } | HandlerFailure

const MESSAGE_LENGTH = 2_000
const STACK_LENGTH = 8_000

export function failed<Code extends StepErrorCode>(code: Code, message: string): { ok: false; code: Code; message: string } {
  return { ok: false, code, message: storableText(message, MESSAGE_LENGTH) }
}

/** A thrown value as a failure. Anything can be thrown, also what throws again when it is looked at. */
export function thrown(error: unknown): HandlerFailure {
  try {
    const { retryable, retryAfterMs } = (error ?? {}) as { retryable?: unknown; retryAfterMs?: unknown }
    return {
      ...failed('STEP_FAILED', messageOf(error)),
      ...(typeof retryable === 'boolean' && { retryable }),
      ...(typeof retryAfterMs === 'number' && retryAfterMs >= 0 && { retryAfterMs }),
    }
  } catch {
    return failed('STEP_FAILED', 'The handler threw something that cannot be read.')
  }
}

/** What the error says, for people; its name when it says nothing. May throw on hostile values: `thrown` catches. */
function messageOf(error: unknown): string {
  const message = error instanceof Error ? String(error.message) || String(error.name) : String(error)
  return storableText(message, MESSAGE_LENGTH)
}

/** For the log only; undefined when there is none. */
export function stackOf(error: unknown): string | undefined {
  try {
    const stack = (error as { stack?: unknown } | null | undefined)?.stack
    return typeof stack === 'string' ? storableText(stack, STACK_LENGTH) : undefined
  } catch {
    return undefined
  }
}

const OUTPUT_CODES = { NOT_JSON: 'INVALID_OUTPUT', UNSTORABLE: 'UNSTORABLE_OUTPUT', TOO_LARGE: 'STATE_TOO_LARGE' } as const

/** What a handler returned, as an outcome: serialised if it is JSON that the database can store in `maxBytes`. */
export function checkedOutput(output: unknown, maxBytes: number): HandlerOutcome {
  try {
    const payload = checkPayload(output === undefined ? null : output, maxBytes)
    return payload.ok
      ? { ok: true, text: payload.text, bytes: payload.bytes }
      : failed(OUTPUT_CODES[payload.code], `The output cannot be kept: ${payload.message}`)
  } catch (error) {
    return failed('INVALID_OUTPUT', `The output cannot be kept: ${thrown(error).message}`)
  }
}
