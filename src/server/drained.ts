/** Slow readers: how much may wait for one, and the wait until it has taken what was written. */
import type { Writable } from 'node:stream'

/** A reader that has not taken this much waits; what comes meanwhile is read when it has. */
export const MAX_BUFFERED_BYTES = 256 * 1_024

/**
 * Resolves when what was written has gone out, or never will: never at once while too much waits, since whoever waits looks again and
 * would do nothing else. A stream that is ending (the other end has said that it sends nothing more, and reads nothing) tells of no drain,
 * only of its close.
 */
export async function drained(stream: Writable): Promise<void> {
  if (stream.destroyed || !(stream.writableNeedDrain || stream.writableLength > MAX_BUFFERED_BYTES)) return
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.once('drain', resolve).once('close', resolve)
  await promise
  stream.off('drain', resolve).off('close', resolve)
}
