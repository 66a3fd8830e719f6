/** The log: JSON lines by pino, ids not contents. A room gets a child with its own name. */
import { pino, stdSerializers } from 'pino'
import type { DestinationStream, Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

/** `level`: pino's; `destination`: standard output unless given (tests). */
export function createLog(level: string, destination?: DestinationStream): Logger {
  const options = { level, base: null, serializers: { err: stdSerializers.errWithCause } }
  return destination ? pino(options, destination) : pino(options)
}
