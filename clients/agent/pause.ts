/** Waiting: until a time is over or a signal ends it, and for how long before another try. */
import { RETRY_TIMES, waitMs } from '../feed/retry.ts'

/** Rejects when the signal ends it. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(reasonOf(signal))
    const timer = setTimeout(done, ms)
    function done(): void {
      signal.removeEventListener('abort', stop)
      resolve()
    }
    function stop(): void {
      clearTimeout(timer)
      reject(reasonOf(signal))
    }
    signal.addEventListener('abort', stop, { once: true })
  })
}

/** Resolves with undefined when the signal comes first. Leaves nothing behind at the signal, which may live for long. */
export function unlessAborted<Value>(work: Promise<Value>, signal: AbortSignal): Promise<Value | undefined> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined)
    if (signal.aborted) stop()
    signal.addEventListener('abort', stop, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}

export const reasonOf = ({ reason }: AbortSignal): Error => (reason instanceof Error ? reason : new Error('It was stopped.'))

/** Before the next try, after so many that failed; by chance, so that agents do not all come back at once. */
export const tryAgainMs = (failures: number): number => waitMs(failures, RETRY_TIMES, Math.random())
