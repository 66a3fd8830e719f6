/**
 * What an attempt says while it runs: lines for the history, and how far it is. Gathered here and told at most once a second, more
 * seldom the longer it goes on, so that a flood of words costs its own attempt a few lines and nobody else anything.
 */
import { checkPayload } from '../../language/payload.ts'
import type { JsonObject } from '../../language/values.ts'
import { storableText } from '../../storable-text.ts'

export interface LogLine {
  message: string
  fields?: JsonObject
}

/** At least one of `fraction` and `message`. */
export interface Progress {
  /** 0 to 1 */
  fraction?: number
  done?: number
  total?: number
  message?: string
}

export interface Report {
  lines: LogLine[]
  /** the last word */
  progress?: Progress
  /** lines that were left out: there are too many */
  dropped: number
}

/** of one attempt, all its life */
export const MOST_LINES = 100
/** The log keeps more of a message than the history. */
const MESSAGE_LENGTH = 2_000
export const HISTORY_LENGTH = 800
const FIELDS_BYTES = 800
/** A short attempt tells all with its outcome, in one commit. */
const FIRST_AFTER_MS = 250
const EVERY_MS = 1000
/** After this many reports they come half as often, and so on. */
const SLOWER_AFTER = 30
const SELDOM_MS = 60_000

export class Reports {
  readonly #tell: (report: Report) => void
  #waiting: Report = { lines: [], dropped: 0 }
  #lines = 0
  #told = 0
  #timer: NodeJS.Timeout | undefined

  constructor(tell: (report: Report) => void) {
    this.#tell = tell
  }

  line(line: LogLine): void {
    if (this.#lines++ < MOST_LINES) this.#waiting.lines.push({ ...line, message: storableText(line.message, HISTORY_LENGTH) })
    else this.#waiting.dropped++
    this.#soon()
  }

  progress(progress: Progress): void {
    this.#waiting.progress =
      progress.message === undefined ? progress : { ...progress, message: storableText(progress.message, HISTORY_LENGTH) }
    this.#soon()
  }

  /** What is left to tell; nothing is told afterwards. `dropped`: lines that did not even get here. */
  close(dropped = 0): Report | undefined {
    clearTimeout(this.#timer)
    this.#waiting.dropped += dropped
    return this.#take()
  }

  #soon(): void {
    if (this.#timer) return
    const ms = this.#told === 0 ? FIRST_AFTER_MS : Math.min(EVERY_MS * 2 ** Math.floor(this.#told / SLOWER_AFTER), SELDOM_MS)
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      const report = this.#take()
      if (!report) return
      this.#told++
      this.#tell(report)
    }, ms).unref()
  }

  #take(): Report | undefined {
    const report = this.#waiting
    if (report.lines.length === 0 && !report.progress && report.dropped === 0) return undefined
    this.#waiting = { lines: [], dropped: 0 }
    return report
  }
}

/** Whatever was given, as a line that can be kept. Never throws. */
export function readLine(message: unknown, fields?: unknown): LogLine {
  const line: LogLine = { message: readText(message) }
  if (fields === undefined || fields === null) return line
  const payload = typeof fields === 'object' && !Array.isArray(fields) ? checkPayload(fields, FIELDS_BYTES) : undefined
  return { ...line, fields: payload?.ok ? (JSON.parse(payload.text) as JsonObject) : { truncated: true } }
}

/** A number from 0 to 1, or an object that says how far; undefined when it says nothing. Never throws. */
export function readProgress(value: unknown): Progress | undefined {
  try {
    if (typeof value === 'number') return Number.isNaN(value) ? undefined : { fraction: between0And1(value) }
    if (typeof value !== 'object' || value === null) return undefined
    const { fraction, done, total, message } = value as Record<keyof Progress, unknown>
    const progress: Progress = typeof message === 'string' ? { message: readText(message) } : {}
    if (isCount(fraction)) progress.fraction = between0And1(fraction)
    if (isCount(done) && isCount(total))
      Object.assign(progress, { done, total, fraction: total === 0 ? 1 : between0And1(done / total) })
    return progress.fraction === undefined && progress.message === undefined ? undefined : progress
  } catch {
    return undefined
  }
}

const between0And1 = (value: number): number => Math.min(1, Math.max(0, value))
const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0

function readText(value: unknown): string {
  try {
    return storableText(String(value), MESSAGE_LENGTH)
  } catch {
    return ''
  }
}
