/**
 * The worker's end of dispatch by BullMQ. Whoever is given a job takes those behind it out of the queue too, in one step, as many as there is
 * room for: BullMQ gives out one at a time, which costs Redis more than the claim costs PostgreSQL. What this worker cannot hold stays for
 * others.
 */
import { WaitingError, Worker } from 'bullmq'
import type { Job } from 'bullmq'
import type { Logger } from '../log.ts'
import type { Offer, Serving, Taker } from './dispatch.ts'
import { patientClient } from './redis-connection.ts'
import type { RedisClient, RedisConnection } from './redis-connection.ts'

/** Of BullMQ's keys; the braces keep a pool's keys on one node of a Redis Cluster. */
export const queuePrefix = (pool: string): string => `{sluice:${pool}}`
export const QUEUE = 'work'

/** Jobs that are claimed at once: more would leave less to other workers, and be hardly faster. */
const MOST_AT_ONCE = 64
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
  /** This worker was given so many steps that it has no room for. */
  leftSteps(pool: string, steps: number): void
  troubled(why: string): void
  log: Logger
}

/** KEYS: the queue's jobs that wait. ARGV: how many, and what stands before an id in the key of a job. Nothing is left of those that it answers. */
const TAKE_OUT = `
local ids, jobs = {}, redis.call('zpopmin', KEYS[1], ARGV[1])
for i = 1, #jobs, 2 do
  ids[#ids + 1] = jobs[i]
  redis.call('del', ARGV[2] .. jobs[i])
end
return ids`

export function serveQueues({ redis, pools, taker, taken, leftSteps, troubled, log }: ServeOptions): Serving {
  /** one claim at a time, whatever pools there are */
  let turn: Promise<unknown> = Promise.resolve()
  let roomy = Promise.withResolvers<void>()
  let stopped = false
  let connection: RedisClient | undefined
  let workers: Worker[] = []
  void redis.reached.then(open)

  function open(client: RedisClient): void {
    if (stopped) return
    const opened = (connection = patientClient(client, log))
    workers = pools.map((pool) => {
      const worker = new Worker(QUEUE, (job, token) => process(pool, job, token), {
        ...{ connection: opened, prefix: queuePrefix(pool), runRetryDelay: RETRY_MS },
        ...{ removeOnComplete: { count: 0 }, removeOnFail: { count: 0 } },
      })
      worker.on('error', ({ message }) => troubled(message))
      return worker
    })
  }

  async function process(pool: string, job: Job, token?: string): Promise<void> {
    const mine = turn.then(() => takeFrom(pool, job.id))
    turn = mine
    if (await mine) return
    await job.moveToWait(token)
    throw new WaitingError()
  }

  /** The job, and what is behind it. False when this worker stops before it has room. */
  async function takeFrom(pool: string, jobId: string | undefined): Promise<boolean> {
    if (!(await room())) return false
    const jobIds = [jobId, ...(await takeOut(pool, Math.min(MOST_AT_ONCE, taker.room()) - 1))]
    const offered = jobIds.flatMap((id) => readJobId(id) ?? [])
    taken(offered.length)
    const executionIds = offered.flatMap(({ executionId, step }) => (step === undefined ? executionId : []))
    let steps = offered.length - executionIds.length
    // looks of its own may have taken the room meanwhile; what it has in hand when it stops, the looks of others find
    while (executionIds.length > 0 && (await room())) await taker.take(executionIds.splice(0, taker.room()))
    while (steps > 0 && (await room())) {
      const some = Math.min(steps, taker.room())
      steps -= some
      leftSteps(pool, await taker.takeSteps(pool, some))
    }
    return true
  }

  async function takeOut(pool: string, most: number): Promise<string[]> {
    if (most <= 0) return []
    const prefix = `${queuePrefix(pool)}:${QUEUE}:`
    // by the connection that does not wait: what is in hand is claimed, whether Redis is there or not
    const more = redis.client?.eval(TAKE_OUT, 1, `${prefix}prioritized`, most, prefix).catch(() => [])
    return ((await more) ?? []) as string[]
  }

  async function room(): Promise<boolean> {
    while (!stopped && taker.room() === 0) await roomy.promise
    return !stopped
  }

  function wake(): void {
    roomy.resolve()
    roomy = Promise.withResolvers()
  }

  return {
    wake,
    async stop() {
      if (stopped) return
      stopped = true
      wake()
      await turn
      let timer: NodeJS.Timeout | undefined
      const patience = new Promise<void>((resolve) => (timer = setTimeout(resolve, STOP_WITHIN_MS)))
      await Promise.race([Promise.allSettled(workers.map((worker) => worker.close())), patience])
      clearTimeout(timer)
      connection?.disconnect()
    },
  }
}

/** The same offer twice has one id: a job that waits is not put there again. */
export const jobIdOf = ({ executionId, version, step }: Offer): string =>
  `${executionId}-${version}${step === undefined ? '' : `-${step}`}`

/** Anybody with the password of Redis may put a job there. */
function readJobId(jobId: string | undefined): Pick<Offer, 'executionId' | 'step'> | undefined {
  const [, executionId, step] = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-\d+(?:-(.+))?$/.exec(jobId ?? '') ?? []
  return executionId === undefined ? undefined : { executionId, ...(step !== undefined && { step }) }
}
