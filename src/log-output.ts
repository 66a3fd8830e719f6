/** Standard output, for the log: who does not read it, or has no room for it, loses lines, and never stops or ends the process. */
import { constants, fstatSync, openSync, writeSync } from 'node:fs'

/** A reader who is only slow is waited for, once for so long in all; then not again until it has read. */
const PATIENCE_MS = 1_000
const PAUSE_MS = 5
const NOTHING = Buffer.alloc(0)
const clock = new Int32Array(new SharedArrayBuffer(4))

export function openLogOutput(fd = 1): { write(line: string): void } {
  const output = withoutWaiting(fd)
  /** of a line that was written in part */
  let rest: Uint8Array = NOTHING
  let patienceMs = PATIENCE_MS
  let lost = 0

  /** Gives what could not be written any more; throws when nothing could. */
  function put(bytes: Uint8Array): Uint8Array {
    let done = 0
    while (done < bytes.length) {
      try {
        done += writeSync(output, bytes, done)
        patienceMs = PATIENCE_MS
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN' && patienceMs > 0) {
          Atomics.wait(clock, 0, 0, PAUSE_MS)
          patienceMs -= PAUSE_MS
        } else if (done > 0) return bytes.subarray(done)
        else throw error
      }
    }
    return NOTHING
  }

  return {
    write(line) {
      try {
        if (rest.length > 0) rest = put(rest)
        if (rest.length === 0 && lost > 0) {
          const told = { level: 40, time: Date.now(), lost, msg: 'lines of this log are lost: nobody read it, or it had no room' }
          rest = put(Buffer.from(`${JSON.stringify(told)}\n`))
          lost = 0
        }
        if (rest.length === 0) rest = put(Buffer.from(line))
        else lost += 1
      } catch {
        lost += 1
      }
    },
  }
}

/** A pipe of our own on the same one, which answers at once when it is full; what is no pipe, or cannot be opened again, as it is. */
function withoutWaiting(fd: number): number {
  try {
    if (fstatSync(fd).isFIFO()) return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    // closed, another platform, or a pipe of another user
  }
  return fd
}
