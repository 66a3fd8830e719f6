/** Waits until a slow reader has taken what was written. */
import type { Writable } from 'node:stream'

/** Resolves when what was written has gone out, or never will. */
export async function drained(stream: Writable): Promise<void> {
  if (!stream.writableNeedDrain || stream.destroyed) return
  const { promise, resolve } = Promise.withResolvers<void>()
  stream.once('drain', resolve).once('close', resolve)
  await promise
  stream.off('drain', resolve).off('close', resolve)
}
