/**
 * The log: JSON lines by pino. Ids, not contents: only fields of a closed list are printed (`log-fields.ts`), what looks like a
 * secret is cut from text, and nothing that is logged can begin a line or move a cursor (C6).
 */
import { pino } from 'pino'
import type { DestinationStream, Level, Logger as PinoLogger } from 'pino'
import { listed } from './log-fields.ts'
import { openLogOutput } from './log-output.ts'
import type { LogFields } from './log-fields.ts'
import { escapeObeyed, redact } from './log-text.ts'

export type { LogFields } from './log-fields.ts'

/** `message` is a constant of ours, wherever that is possible; what differs from line to line is a field. */
export interface Write {
  (fields: LogFields, message: string): void
  (message: string): void
}

export interface Logger extends Readonly<Record<Level, Write>> {
  isLevelEnabled(level: Level): boolean
  /** A log whose every line carries these too: `{ room: 'engine' }`. */
  child(fields: LogFields): Logger
}

/** `level`: pino's; `destination`: standard output unless given (tests). */
export function createLog(level: string, destination: DestinationStream = openLogOutput()): Logger {
  // what goes wrong in a serialiser of ours must not bring pino's own, which print everything
  const options = { level, base: null, serializers: { err: (err: unknown) => err } }
  return over(pino(options, { write: (line: string) => destination.write(escapeObeyed(line)) }))
}

function over(log: PinoLogger): Logger {
  const write = (level: Level): Write => {
    return (first: LogFields | string, message?: string) => {
      if (!log.isLevelEnabled(level)) return
      if (typeof first === 'string') log[level](redact(first))
      else log[level](listed(first), message === undefined ? undefined : redact(message))
    }
  }
  return {
    fatal: write('fatal'),
    error: write('error'),
    warn: write('warn'),
    info: write('info'),
    debug: write('debug'),
    trace: write('trace'),
    isLevelEnabled: (level) => log.isLevelEnabled(level),
    child: (fields) => over(log.child(listed(fields))),
  }
}
