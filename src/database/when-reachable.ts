/** Waits for a database that is not there yet: processes of a fleet start in any order. */
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../errors.ts'
import type { Logger } from '../log.ts'
import { remedyOf } from '../sql-states.ts'
import { sqlState } from './database.ts'

/** The first pause; each is twice as long as the one before. */
const FIRST_PAUSE_MS = 100
const LONGEST_PAUSE_MS = 2_000
/** A wait that goes on is told again after this long. */
const TELL_EVERY_MS = 60_000

/** Of a socket that could not be opened, or broke. */
const NO_CONNECTION = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENETDOWN'],
  // a name that nobody has yet: its container has not started
  ...['ENOTFOUND', 'EAI_AGAIN'],
])
/**
 * Connection errors, a server that starts, stops or takes too long, one that has no room (on its disk, in its memory, for connections), one
 * that takes no writes (a standby that is about to be promoted), and a lock that somebody holds for long.
 */
const LATER = /^(08...|25006|25P0[34]|40001|40P01|53...|55P03|57014|57P0[1235])$/

/** What another process has to do first. */
export class Later extends Error {
  /** a noun, and what to do */
  readonly awaited: string

  constructor(awaited: string) {
    super(`this waits for ${awaited}`)
    this.awaited = awaited
  }
}

export interface WaitOptions {
  readonly log: Logger
  /** ends the wait */
  readonly signal: AbortSignal
}

/** Does `work` until the database is there for it. Throws what comes of anything else, and an AbortError. */
export async function whenReachable<T>(work: () => Promise<T>, { log, signal }: WaitOptions): Promise<T> {
  const waiting = beginWait(log, signal, 'the database')
  for (;;) {
    try {
      const done = await work()
      waiting.over()
      return done
    } catch (error) {
      if (!(error instanceof Later) && !isAway(error)) throw error
      await waiting.pause(error instanceof Later ? error.awaited : whyOf(error))
    }
  }
}

/** Looks until nothing is missing. */
export async function untilComplete(missing: () => Promise<readonly string[]>, { log, signal }: WaitOptions): Promise<void> {
  const waiting = beginWait(log, signal, 'what this role may not do by itself')
  for (;;) {
    const [first] = await missing()
    if (first === undefined) return waiting.over()
    await waiting.pause(first)
  }
}

/** Pauses that grow, and a log that says what is waited for: at first, and then once a minute. */
function beginWait(log: Logger, signal: AbortSignal, what: string) {
  const began = performance.now()
  let told = Number.NEGATIVE_INFINITY
  let ms = FIRST_PAUSE_MS
  const waitedMs = (): number => Math.round(performance.now() - began)
  return {
    async pause(why: string): Promise<void> {
      if (performance.now() - told >= TELL_EVERY_MS) {
        log.warn({ why, waitedMs: waitedMs() }, `waiting for ${what}`)
        told = performance.now()
      }
      await sleep(ms, undefined, { signal })
      ms = Math.min(ms * 2, LONGEST_PAUSE_MS)
    },
    over(): void {
      if (told > 0) log.info({ waitedMs: waitedMs() }, `waited for ${what}`)
    },
  }
}

const codeOf = (error: unknown): string =>
  String((error as NodeJS.ErrnoException | undefined)?.code ?? (error as Error | undefined)?.name)

function whyOf(error: unknown): string {
  const remedy = remedyOf(sqlState(error))
  return remedy === undefined ? codeOf(error) : `${codeOf(error)}: ${remedy}`
}

/** pg and its pool say these without a code. */
const BROKEN =
  /^(Connection terminated|timeout expired|timeout exceeded when trying to connect|Client has encountered a connection error|Client was closed)/i

/** Whether an error says no more than that the database cannot be asked now. */
export function isAway(error: unknown): boolean {
  const code = codeOf(error)
  // a file that the URL names (sslrootcert) does not come by waiting
  if ((error as NodeJS.ErrnoException).syscall === 'open') return false
  return NO_CONNECTION.has(code) || LATER.test(sqlState(error) ?? '') || BROKEN.test((error as Error | undefined)?.message ?? '')
}

/** Whether it is no fault of what was asked: whoever asks again may be answered. */
export const passes = (error: unknown): boolean => (error instanceof Fault && error.code === 'UNAVAILABLE') || isAway(error)
