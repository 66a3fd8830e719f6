/** The connection to Redis. It may come and go: commands fail at once while it is away, and nothing waits for it. */
import { once } from 'node:events'
import { Redis } from 'ioredis'
import type { Logger } from '../log.ts'

/** A Redis that answers later than this is as good as away. */
const ANSWER_WITHIN_MS = 500
/** One that owes an answer for this long loses its connection: what is sent to it meanwhile is kept in memory. */
const SILENT_FOR_MS = 2_000
const CONNECT_WITHIN_MS = 2_000
const RECONNECT_MS = { step: 100, longest: 2_000 }

/** Resolves when it is connected, or when that failed once: it goes on trying. `rediss://` verifies the certificate. */
export async function connectRedis(url: string, log: Logger): Promise<Redis> {
  const redis = new Redis(url, {
    commandTimeout: ANSWER_WITHIN_MS,
    socketTimeout: SILENT_FOR_MS,
    connectTimeout: CONNECT_WITHIN_MS,
    // a command that was lost with its connection is not sent again: counting late would be as wrong as counting twice
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    retryStrategy: (attempt) => Math.min(attempt * RECONNECT_MS.step, RECONNECT_MS.longest),
  })
  let told = false
  redis.on('ready', () => (told = false))
  // Without a listener an error would end the process. Only its message: an error of ioredis carries its command, AUTH too.
  redis.on('error', ({ message }: Error) => {
    log[told ? 'debug' : 'warn']({ why: message }, 'Redis cannot be reached')
    told = true
  })
  const patience = AbortSignal.timeout(CONNECT_WITHIN_MS)
  await once(redis, 'ready', { signal: patience }).catch(() => undefined)
  return redis
}
