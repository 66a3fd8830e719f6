/**
 * The worker's end of dispatch by BullMQ. Jobs that come while a claim is under way go together into the next one; no more are
 * fetched than there is room for, so that what this worker cannot hold stays for others.
 */
import { WaitingError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import type { Logger } from '../log.ts'
import type { Serving, Taker } from './dispatch.ts'
import { patientClient } from './redis-connection.ts'
import type { RedisClient, RedisConnection } from './redis-connection.ts'

/** Of BullMQ's keys; the braces keep a pool's keys on one node of a Redis Cluster. */
export const queuePrefix = (pool: string): string => `{sluice:${pool}}`
export const QUEUE = 'work'

/** Jobs of a pool that one worker has in hand at a time. */
const MOST_AT_ONCE = 256
/** The pause after a failure that is none of the connection. */
const RETRY_MS = 1_000
/** How long stopping waits for a Redis that does not answer. */
const STOP_WITHIN_MS = 1_000

export interface ServeOptions {
  /** which is served as soon as it is reached; by connections of its own, since they block */
  redis: RedisConnection
  pools: readonly string[]
  taker: Taker
  taken(jobs: number): void
  troubled(why: string): void
  log: Logger
}

interface Ringing {
  executionId: string
  /** `taken`: false when this worker stops before it could claim */
  answer(taken: boolean): void
}

export function serveQueues({ redis, pools, taker, taken, troubled, log }: ServeOptions): Serving {
  const ringing: Ringing[] = []
  let claiming: Promise<void> | undefined
  let stopped = false
  let connection: RedisClient | undefined
  let workers: Worker[] = []
  void redis.reached.then(open)

  function open(client: RedisClient): void {
    if (stopped) return
    const opened = (connection = patientClient(client, log))
    workers = pools.map((pool) => {
      const worker = new Worker(QUEUE, process, {
        ...{ connection: opened, prefix: queuePrefix(pool), concurrency: MOST_AT_ONCE, runRetryDelay: RETRY_MS },
        ...{ removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } },
      })
      worker.on('error', ({ message }) => troubled(message))
      return worker
    })
  }

  async function process(job: Job, token?: string): Promise<void> {
    const executionId = executionOf(job.id)
    if (executionId === undefined) return
    const ended = new Promise<boolean>((answer) => ringing.push({ executionId, answer }))
    wake()
    if (!stopped && (await ended)) return
    await job.moveToWait(token)
    throw new WaitingError()
  }

  function wake(): void {
    const room = taker.room()
    for (const worker of workers) worker.concurrency = Math.max(1, Math.min(MOST_AT_ONCE, room))
    if (ringing.length > 0 && room > 0) claiming ??= claim()
  }

  async function claim(): Promise<void> {
    // after this turn: jobs of one turn go together
    await new Promise(setImmediate)
    for (let room = taker.room(); ringing.length > 0 && room > 0; room = taker.room()) {
      const claimed = ringing.splice(0, room)
      taken(claimed.length)
      await taker.take(claimed.map(({ executionId }) => executionId))
      for (const { answer } of claimed) answer(true)
    }
    claiming = undefined
  }

  return {
    wake,
    async stop() {
      if (stopped) return
      stopped = true
      await claiming
      for (const { answer } of ringing.splice(0)) answer(false)
      let timer: NodeJS.Timeout | undefined
      const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, STOP_WITHIN_MS)))
      await Promise.race([Promise.allSettled(workers.map((worker) => worker.close())), patience])
      clearTimeout(timer)
      connection?.disconnect()
    },
  }
}

/** Anybody with the password of Redis may put a job there. */
function executionOf(jobId: string | undefined): string | undefined {
  return /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d+$/.exec(jobId ?? '')?.[1]
}
