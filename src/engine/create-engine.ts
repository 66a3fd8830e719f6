/** Builds the engine: one committer, one set of mailboxes, one worker; and answers for it to the rooms above. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { Database } from '../database/database.ts'
import type { Problem } from '../errors.ts'
import { problem } from '../errors.ts'
import type { Bus } from '../fleet/bus.ts'
import type { Dispatch } from '../fleet/dispatch.ts'
import { createMemoryLimiter } from '../fleet/memory-limiter.ts'
import { createPostgresDispatch } from '../fleet/postgres-dispatch.ts'
import { newUuid } from '../ids.ts'
import type { AllowList } from '../language/values.ts'
import type { Logger } from '../log.ts'
import { createItemJoiner } from './acts/join-items.ts'
import { createChildStarter } from './acts/start-child.ts'
import type { ChooseChild } from './acts/start-child.ts'
import { createCommitter } from './commit.ts'
import type { Committer } from './commit.ts'
import type { Input } from './decide/input.ts'
import type { Extras } from './encode.ts'
import type { ControlOrder, Engine, RetryQuestion } from './engine.ts'
import type { HandlerHost } from './handlers/handler-host.ts'
import { createHandlerRunner } from './handlers/handler-runner.ts'
import type { HandlerRegistry } from './handlers/load-handlers.ts'
import type { ActRunners } from './acts/act-runner.ts'
import type { OpenSecrets } from './acts/run-with-secrets.ts'
import { createLoop } from '../loop.ts'
import { BUSY, createKeyedOrders } from './keyed-orders.ts'
import { createMasks } from './masks.ts'
import { createMigrations } from './migrate-executions.ts'
import { planStoredRetry } from './plan-stored-retry.ts'
import { createPrograms } from './programs.ts'
import { createFailureFlows } from './failure-flows.ts'
import type { FailureFlows } from './failure-flows.ts'
import { createUnheldOffers } from './offer-unheld.ts'
import { createSlotSweep } from './slot-sweep.ts'
import { createStarter } from './start-order.ts'
import { createStartRates } from './start-rates.ts'
import type { StartRates } from './start-rates.ts'
import type { AdmitStarts } from './refuse-starts.ts'
import { createWaiters } from './waiters.ts'
import { createWorker } from './worker.ts'
import type { Worker, WorkerSettings } from './worker.ts'

export interface EngineOptions extends WorkerSettings {
  database: Database
  bus: Bus
  /** by PostgreSQL and the bus unless given */
  dispatch?: Dispatch
  host: HandlerHost
  registry: HandlerRegistry
  /** of the acts that are no handlers; none by default: their steps fail */
  acts?: Omit<ActRunners, 'handler'>
  /** none by default: steps that name secrets fail */
  openSecrets?: OpenSecrets
  allow: AllowList
  /** signs the rows of the audit log that the engine adds */
  signAudit: AuditKeys['sign']
  log: Logger
  /** which flow a `flow` step means, and whether it may be started; without it, none may */
  chooseChild?: ChooseChild
  /** children of one initiator's executions that have not ended */
  mostChildren?: number
  /** executions of one initiator that are no children and have not ended, where the engine itself starts them */
  mostRunning?: number
  /** counts how often flows are started; by default in this process */
  rates?: StartRates
  /** asked before starts that waited begin; without it, all may */
  admitStarts?: AdmitStarts
}

export interface RunningEngine extends Engine {
  readonly workerId: string
  readonly worker: Worker
  readonly committer: Committer
  readonly failures: FailureFlows
  run(): Promise<void>
  stop(): Promise<void>
}

const MOST_CHILDREN = 1_000
const MOST_RUNNING = 100
const PARTITIONS_EVERY_MS = 3_600_000
const PARTITION_WEEKS_AHEAD = 4

const NO_SECRETS: OpenSecrets = () => Promise.resolve({ ok: false, message: 'There are no secrets here.' })

export function createEngine(options: EngineOptions): RunningEngine {
  const { database, bus, log } = options
  const workerId = newUuid()
  const committer = createCommitter(database, log)
  const programs = createPrograms(database, options.allow)
  const { rates = createStartRates(createMemoryLimiter), dispatch = createPostgresDispatch(bus) } = options
  const runners: ActRunners = {
    ...options.acts,
    handler: createHandlerRunner(options.host, options.registry),
    map: createItemJoiner(database, log),
    flow: createChildStarter({
      ...{ database, programs, log, chooseChild: options.chooseChild, most: options.mostChildren ?? MOST_CHILDREN, rates },
      begin: (...child) => worker.mailboxes.begin(...child),
    }),
  }
  const offerUnheld = createUnheldOffers(database, dispatch, log)
  const worker: Worker = createWorker({
    openSecrets: NO_SECRETS,
    ...options,
    ...{ dispatch, offerUnheld, workerId, committer, programs, runners },
  })
  const waiters = createWaiters(database, bus, log, worker.mailboxes.isHeld)
  const slots = createSlotSweep({ database, offerUnheld, isTurn: () => worker.isFirst, log, mailboxes: worker.mailboxes })
  committer.onSlots = slots.told
  const partitions = createLoop({
    name: 'partitions',
    log,
    async runOnce() {
      await database.query('select sluice.ensure_partitions($1)', [PARTITION_WEEKS_AHEAD])
      return PARTITIONS_EVERY_MS
    },
  })
  const planRetry = (question: RetryQuestion) => planStoredRetry(database, programs, question)

  const masks = createMasks(database, programs)
  const keyed = createKeyedOrders({ database, committer, worker })
  const start = createStarter({ database, committer, worker, rates, planRetry, startedBefore: keyed.startedBefore })
  const failures = createFailureFlows({
    ...{ database, programs, masks, start, log, chooseFlow: options.chooseChild },
    runningLimit: options.mostRunning ?? MOST_RUNNING,
  })

  return {
    workerId,
    worker,
    committer,
    failures,
    start,
    ...keyed,
    planRetry,
    ...createMigrations({ database, committer, programs, mailboxes: worker.mailboxes }),
    cancel: (order) => control(order, { kind: 'cancel', ...saidWith(order), reason: order.reason ?? 'canceled' }),
    pause: (order) => control(order, { kind: 'pause', ...saidWith(order), reason: order.reason ?? 'paused' }),
    resume: (order) => control(order, { kind: 'resume', ...saidWith(order) }),
    ratesLeft: rates.look,
    masks,
    program: (flowVersionId) => programs.get(flowVersionId),
    ended: (executionId, waitMs) => waiters.ended(executionId, waitMs),
    async run() {
      partitions.start()
      await worker.start()
      if (!options.enabled) return
      slots.start()
      failures.start()
    },
    async stop() {
      const loops = [waiters.close(), partitions.stop(), slots.stop(), failures.stop()]
      // one may wait for a database that stores nothing: what it is about, others do
      await Promise.race([Promise.all(loops), sleep(options.leaseMs, undefined, { ref: false })])
      await worker.stop()
      await committer.close()
    },
  }

  async function control(order: ControlOrder, input: Input): Promise<{ executionId: string } | Problem> {
    if (committer.full) return BUSY
    const extras: Extras = order.audit ? { audits: order.audit } : {}
    const posted = await worker.mailboxes.post(order.executionId, input, { extras, urgent: true })
    if (posted.result === 'missing') return problem('NOT_FOUND')
    if (posted.result === 'applied' || posted.result === 'duplicate') return { executionId: order.executionId }
    return problem('ILLEGAL_STATE', {
      message: `Not possible while the execution is ${'snapshot' in posted ? posted.snapshot.status : 'so'}.`,
    })
  }
}

const saidWith = ({ reason, by }: ControlOrder): Pick<ControlOrder, 'reason' | 'by'> => ({
  ...(reason !== undefined && { reason }),
  ...(by !== undefined && { by }),
})
