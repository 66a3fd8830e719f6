/** Trouble that goes on is told when it begins, once a minute after that, and when it is over: no outage floods the log. */
import { describeError } from './log-error.ts'
import type { LogFields, Logger } from './log.ts'

const AGAIN_MS = 60_000
/** of one trouble: an outage shows several faces, a socket that is gone and a server that starts */
const MOST_KINDS = 10

export interface Trouble {
  /** It failed: maybe not for the first time, maybe not like the last time. */
  failed(error: unknown, fields?: LogFields): void
  /** It worked. */
  worked(): void
  /** for how many ms it has failed each time; 0: it worked last */
  readonly lastsMs: number
}

export interface TroubleOptions {
  readonly log: Logger
  /** what is told of it, at `level` (warn) */
  readonly message: string
  readonly level?: 'warn' | 'error'
  /** what is told when it is over; nothing, unless it is given */
  readonly over?: string
  /** ms, `performance.now` outside of tests */
  readonly monotonic?: () => number
}

/** The `count` of a line is how often it has happened since the line before. */
export function createTrouble({
  log,
  message,
  level = 'warn',
  over,
  monotonic = () => performance.now(),
}: TroubleOptions): Trouble {
  /** by what kind it is of: when that was told */
  const told = new Map<string, number>()
  let since: number | undefined
  let isTold = false
  let untold = 0

  return {
    failed(error, fields) {
      const now = monotonic()
      since ??= now
      const kind = kindOf(error)
      if (now - (told.get(kind) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS) {
        untold += 1
        return
      }
      if (told.size === MOST_KINDS) told.clear()
      told.set(kind, now)
      isTold = true
      log[level]({ ...fields, err: error, ...(untold > 0 && { count: untold + 1 }) }, message)
      untold = 0
    },
    worked() {
      if (since === undefined) return
      if (isTold && over !== undefined) log.info({ waitedMs: Math.round(monotonic() - since) }, over)
      since = undefined
      isTold = false
    },
    get lastsMs() {
      return since === undefined ? 0 : Math.max(1, monotonic() - since)
    },
  }
}

function kindOf(error: unknown): string {
  const { sqlState, code, name } = describeError(error)
  return sqlState ?? code ?? name
}
