/** A disk without room, which PostgreSQL cannot start on: what becomes possible again as soon as somebody frees some space. */
import { statfs } from 'node:fs/promises'

/** Two files of the write-ahead log: recovery may need as much. */
const ROOM_BYTES = 32 * 1024 * 1024
const SAID = /No space left on device|Disk quota exceeded/

export class DiskFull extends Error {
  constructor(directory: string, cause?: unknown) {
    super(`The disk of ${directory} is full: free some space`, { cause })
  }
}

/** `said`: what PostgreSQL said when it ended; on a full disk it may have had no room for that. */
export async function isDiskFull(directory: string, said: string): Promise<boolean> {
  if (SAID.test(said)) return true
  const { bavail, bsize } = await statfs(directory)
  return bavail * bsize < ROOM_BYTES
}
