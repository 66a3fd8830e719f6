/** The worker: claims executions, holds them, launches their attempts, fires what is due; drains when told to stop. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AuditKeys } from '../audit/audit-keys.ts'
import type { Database } from '../database/database.ts'
import type { Bus } from '../fleet/bus.ts'
import { DEFAULT_POOL } from '../language/around/pool.ts'
import type { Logger } from '../log.ts'
import { leaveExecutions, reclaimExecutions } from './claim.ts'
import { createClaimer } from './claimer.ts'
import type { Dispatch, Serving } from '../fleet/dispatch.ts'
import type { Committer } from './commit.ts'
import type { ActRunners } from './acts/act-runner.ts'
import { createAttempts } from './acts/attempts.ts'
import type { NoteUse } from './acts/attempts.ts'
import type { Transition, World } from './decide/draft.ts'
import { relaunches } from './decide/relaunch.ts'
import type { Input } from './decide/input.ts'
import type { Snapshot } from './decide/snapshot.ts'
import { workerTopic, WORD_TOPIC } from './engine.ts'
import type { OpenSecrets } from './acts/run-with-secrets.ts'
import { earliestDue } from './in-flight.ts'
import { traceClaims } from './execution-traces.ts'
import { drain } from './drain.ts'
import { createLease } from './lease.ts'
import type { StoredState } from './lease.ts'
import { loadSnapshots } from './load-snapshots.ts'
import { isTracing } from '../tracing.ts'
import { createMailboxes } from './mailboxes.ts'
import { createPooledSteps } from './pooled-steps.ts'
import type { Mailboxes } from './mailboxes.ts'
import { createOverdueSweep } from './overdue-sweep.ts'
import type { Programs } from './programs.ts'
import { refuseStarts } from './refuse-starts.ts'
import type { AdmitStarts } from './refuse-starts.ts'
import { createTelling } from './tell-commit.ts'
import { createWakeQueue } from './wake-queue.ts'
import { createWorkLoop } from './work-loop.ts'

export interface WorkerSettings {
  leaseMs: number
  /** executions held at once */
  maxHeld: number
  /** whose executions it takes; the default one */
  pools?: readonly string[]
  /** of the program, for people */
  version?: string
  /** how long a canceled execution may take to stop what runs */
  fenceMs: number
  /** how long a stopping worker lets its handlers finish */
  drainMs: number
  /** false: this process only visits (an API without a worker) */
  enabled: boolean
}

export interface WorkerOptions extends WorkerSettings {
  workerId: string
  database: Database
  bus: Bus
  dispatch: Dispatch
  /** tells a worker of an execution, if nobody holds it */
  offerUnheld(executionId: string): void
  committer: Committer
  programs: Programs
  runners: ActRunners
  signAudit: AuditKeys['sign']
  openSecrets: OpenSecrets
  log: Logger
  admitStarts?: AdmitStarts
}

export interface Worker {
  readonly mailboxes: Mailboxes
  /** The world of this moment; `adopt` is false while nothing new may be held here. */
  world(): World
  start(): Promise<void>
  stop(): Promise<void>
  /** called with every transition that was stored; for metrics */
  onTransition?: (transition: Transition) => void
  /** called with what each attempt took of the machine, where that is measured; for metrics */
  onUse?: NoteUse
  /** called with how many executions a claim took; for metrics */
  onClaim?: (claimed: number) => void
  /** false: it could not renew its lease in time, and runs nothing */
  readonly holdsLease: boolean
  /** in this second, about, it is the worker of all that does what one is enough for */
  readonly isFirst: boolean
  /** Claims and fires what is due, once (tests). */
  runOnce(): Promise<void>
}

/** Waits that end within this stay with their holder. */
const KEEP_MS = 1000

export function createWorker(options: WorkerOptions): Worker {
  const { database, bus, dispatch, committer, programs, log, workerId, enabled } = options
  const now = (): number => database.clock.now()
  const pools = new Set(options.pools ?? [DEFAULT_POOL])
  let draining = false
  /** the time to drain is over: what has not begun does not begin any more */
  let givenUp = false
  /** owned by us in the database but unknown here at the last heartbeat: a claim under way, or an orphan */
  let unknown = new Set<string>()

  const lease = createLease({
    ...{ workerId, database, leaseMs: options.leaseMs, log, onRenewed, onLost: dropAll },
    about: () => ({
      pools: [...pools],
      capacity: draining ? 0 : options.maxHeld,
      held: mailboxes.size + steps.size,
      version: options.version,
    }),
  })
  const wakeQueue = createWakeQueue(now, (id) => void mailboxes.post(id, { kind: 'tick' }).catch(logFailure))
  const attempts = createAttempts({
    runners: options.runners,
    openSecrets: options.openSecrets,
    ended(executionId, inputs, entry) {
      if (steps.more) claimLoop.wake()
      if (entry.kind === 'pooled') return steps.ended(executionId, entry, inputs)
      const [first, ...rest] = inputs
      if (first) void mailboxes.post(executionId, first, { then: rest }).catch(logFailure)
    },
    reported(executionId, report) {
      void mailboxes.post(executionId, report).catch(logFailure)
    },
    async isolate(executionId, entry) {
      if (entry.kind === 'pooled') return steps.isolate(executionId, entry)
      if (draining) return false
      const { path, attempt } = entry
      const posted = await mailboxes.post(executionId, { kind: 'isolated', path, attempt })
      return posted.result === 'applied' && attempts.running(executionId, 'act').has(path)
    },
    used: (...use) => worker.onUse?.(...use),
  })
  const mailboxes = createMailboxes({
    ...{ database, committer, programs, log, act, reconcile, signAudit: options.signAudit },
    workerId: enabled ? workerId : null,
    world,
    released(executionId, unread) {
      if (unread) claimLoop.wake()
      if (claimer.couldMore) claimLoop.lookForReady()
      else serving?.wake()
      attempts.forget(executionId, 'act')
      wakeQueue.set(executionId, null)
    },
  })
  const claimer = createClaimer({
    ...{ database, workerId, pools: [...pools], maxHeld: options.maxHeld, hold: holdAll, log },
    held: () => mailboxes.size + steps.size,
    mayClaim: () => !committer.full && lease.alive && !draining,
    claimed: (count) => worker.onClaim?.(count),
  })
  const steps = createPooledSteps({
    ...{ database, workerId, pools: [...pools], mailboxes, attempts, log },
    room: () => claimer.room(),
    mayLaunch: () => lease.alive,
    draining: () => draining,
  })
  const claimLoop = createWorkLoop({
    ...{ database, workerId, pools: [...pools], dispatch, claimer, steps, log },
    overdue: createOverdueSweep({ database, pools: [...pools], tick: (id) => mailboxes.post(id, { kind: 'tick' }), log }),
    hasRoom: () => serving?.wake(),
  })
  const tell = createTelling({ bus, dispatch, workerId, isHeld: mailboxes.isHeld, offerUnheld: options.offerUnheld })
  const unlisten: (() => void)[] = []
  let serving: Serving | undefined

  const worker: Worker = {
    mailboxes,
    world,
    async start() {
      if (!enabled) return
      await lease.start()
      unlisten.push(
        bus.listen(WORD_TOPIC, (id) => id !== undefined && mailboxes.hear(id)),
        bus.listen(workerTopic(workerId), (executionId) => executionId !== undefined && mailboxes.reload(executionId)),
        bus.listen(workerTopic(workerId), (executionId) => executionId !== undefined && steps.hear(executionId)),
      )
      serving = dispatch.serve([...pools], {
        room: claimer.room,
        take: claimer.take,
        hasRoomForSteps: () => steps.hasRoom,
        takeSteps: steps.take,
        look: claimLoop.lookForReady,
      })
      claimLoop.start()
    },
    async stop() {
      if (!enabled) return
      draining = true
      // the same: after so long others take over anyway
      await Promise.race([Promise.all([claimLoop.stop(), serving?.stop()]), sleep(options.leaseMs, undefined, { ref: false })])
      // it still hears of what is canceled
      await drain({ mailboxes, steps, drainMs: options.drainMs, leaseMs: options.leaseMs, giveUp: () => (givenUp = true) })
      for (const stop of unlisten) stop()
      wakeQueue.close()
      await lease.stop()
    },
    get holdsLease() {
      return lease.alive
    },
    get isFirst() {
      return claimLoop.isFirst
    },
    runOnce: claimLoop.runOnce,
  }
  return worker

  function world(): World {
    const adopt = enabled && !draining && lease.alive && mailboxes.size + steps.size < options.maxHeld
    return { now: now(), worker: enabled ? workerId : null, adopt, draining, pools, keepMs: KEEP_MS, fenceMs: options.fenceMs }
  }

  async function holdAll(ids: readonly string[]): Promise<void> {
    const unread: string[] = []
    const loaded = await loadSnapshots(database, programs, ids, unread)
    if (unread.length > 0) await leaveExecutions(database, workerId, unread, log)
    if (isTracing()) await traceClaims(database, ids, workerId)
    for (const one of await refuseStarts(loaded, options.admitStarts, now())) mailboxes.hold(one)
  }

  /** What a committed transition asks for: stop, ring, run. */
  function act(transition: Transition): void {
    const { next, aborts, launches } = transition
    for (const { path } of aborts) attempts.abort(next.id, path, next.cancelReason ?? 'The execution has ended.')
    worker.onTransition?.(transition)
    tell(transition)
    // a cancel fence may be nearer than the next look
    if (next.deadlineAt !== null) claimLoop.expect(next.deadlineAt)
    // a step of a pool is launched by whoever claimed it; whatever else, by whoever holds the execution
    const mine = launches.filter(({ entry }) => entry.kind === 'pooled' || (mailboxes.isHeld(next.id) && !givenUp))
    for (const launch of lease.alive ? mine : []) attempts.launch(next.id, launch, next)
    if (next.owner === workerId) {
      // also without a lease: it may come back, and then nobody else would look
      wakeQueue.set(next.id, earliestDue(next, KEEP_MS, now()))
    } else if (next.owner === null && next.wakeAt !== null) claimLoop.expect(next.wakeAt)
  }

  /** After a reload: another writer may have begun steps for us, or ended some that we run. */
  function reconcile(snapshot: Snapshot, untold: readonly Input[]): void {
    if (snapshot.owner !== workerId) return
    wakeQueue.set(snapshot.id, earliestDue(snapshot, KEEP_MS, now()))
    if (!lease.alive) return
    const running = attempts.running(snapshot.id, 'act')
    for (const path of running) {
      const wanted =
        (snapshot.cancelReason === null || snapshot.ending !== null) &&
        snapshot.inFlight.some((entry) => entry.kind === 'act' && entry.path === path)
      if (!wanted) attempts.abort(snapshot.id, path, snapshot.cancelReason ?? 'It is not wanted any more.')
    }
    for (const launch of relaunches(snapshot, world())) {
      const { path, attempt } = launch.entry
      const ended = untold.some((input) => input.kind === 'outcome' && input.path === path && input.attempt === attempt)
      if (!running.has(path) && !ended) attempts.launch(snapshot.id, launch, snapshot)
    }
  }

  function onRenewed(stored: ReadonlyMap<string, StoredState>): void {
    void steps.reconcile().catch(logFailure)
    const here = mailboxes.held()
    for (const [id, snapshot] of here) {
      const now = stored.get(id)
      const written = !snapshot || !now || now.version > snapshot.version || now.unread
      if (written || isIdle(snapshot)) mailboxes.reload(id, { unlessBusy: true })
    }
    const strangers = [...stored.keys()].filter((id) => !here.has(id))
    const orphans = strangers.filter((id) => unknown.has(id))
    if (orphans.length > 0 && !draining) void takeBack(orphans).catch(logFailure)
    unknown = new Set(strangers)
  }

  /** Claimed without learning of it, or dropped when the lease was lost: a takeover from ourselves. */
  async function takeBack(orphans: readonly string[]): Promise<void> {
    await holdAll(await reclaimExecutions(database, workerId, orphans))
  }

  /** It says that it runs something here, and nothing runs: the lease was lost and came back. */
  function isIdle({ id, epoch, inFlight }: Snapshot): boolean {
    const running = attempts.running(id, 'act')
    return inFlight.some((entry) => entry.kind === 'act' && entry.epoch === epoch && !running.has(entry.path))
  }

  function dropAll(): void {
    for (const id of mailboxes.held().keys()) {
      attempts.forget(id, 'act')
      mailboxes.drop(id)
    }
    steps.dropAll()
  }

  function logFailure(error: unknown): void {
    log.error({ err: error }, 'an input was not recorded')
  }
}
