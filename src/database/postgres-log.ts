/** The embedded server's own log: kept short, and asked why a server ended. */
import { rename, stat } from 'node:fs/promises'

const MAX_LOG_BYTES = 10 * 1024 * 1024

/** Why it ended, where it says so, and its last line. */
export function lastWords(said: string): string {
  const lines = said.trim().split('\n')
  const why = lines.findLast((line) => /FATAL|PANIC/.test(line) && !/starting up|not yet accepting/.test(line))
  return [...new Set([why ?? lines.at(-2), lines.at(-1)])].join(' | ')
}

/** The server's log is kept short; the one before stays as `.1`. Gives the length it has now. */
export async function rotateLog(path: string): Promise<number> {
  const { size } = await stat(path).catch(() => ({ size: 0 }))
  if (size < MAX_LOG_BYTES) return size
  await rename(path, `${path}.1`)
  return 0
}
