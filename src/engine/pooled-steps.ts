/**
 * The steps that this worker runs for executions that it does not hold: claimed from the queues of its pools, recorded by visits. A row
 * of the queue is a worker's while it has the lease; whoever claims it next has another epoch.
 */
import type { Database } from '../database/database.ts'
import type { Logger } from '../log.ts'
import type { Attempts } from './acts/attempts.ts'
import { claimSteps, giveUpStep, readOwnSteps, reclaimSteps } from './claim-steps.ts'
import type { ClaimedStep } from './claim-steps.ts'
import type { Input } from './decide/input.ts'
import type { Snapshot } from './decide/snapshot.ts'
import type { PooledEntry } from './in-flight.ts'
import type { Mailboxes } from './mailboxes.ts'

export interface PooledStepsOptions {
  database: Database
  workerId: string
  pools: readonly string[]
  mailboxes: Pick<Mailboxes, 'post' | 'reload'>
  attempts: Pick<Attempts, 'abort' | 'forget' | 'running' | 'pooledWaiting'>
  /** false: the lease is lost, and nothing is launched */
  mayLaunch(): boolean
  /** it stops: what is claimed from here on is left to others */
  draining(): boolean
  /** how many more may be claimed now */
  room(): number
  log: Logger
}

export interface PooledSteps {
  /** Claims what there is room for, in turns, for a moment; true: it may go on at once, after whatever else is to be looked at. */
  look(): Promise<boolean>
  /** false: what is claimed would wait here */
  readonly hasRoom: boolean
  /** Claims at most `most` of the pool, as far as there is room, and says how many that leaves; never rejects. */
  take(pool: string, most: number): Promise<number>
  /** those that this worker has, and those that are on their way */
  readonly size: number
  /** the last look left some */
  readonly more: boolean
  ended(executionId: string, entry: PooledEntry, inputs: readonly Input[]): void
  /** A suspect's turn has come; false: it is not wanted any more. */
  isolate(executionId: string, entry: PooledEntry): Promise<boolean>
  /** Something happened to an execution: what runs of it may not be wanted any more. */
  hear(executionId: string): void
  /** With each renewal of the lease: what runs here, and what the database says that this worker has, are made to agree. */
  reconcile(): Promise<void>
  /** The lease is lost: nothing of it is told. */
  dropAll(): void
  /** Gives back what has not ended at `until`, by the monotonic clock. */
  drain(until: number): Promise<void>
}

/** So few at once that a worker does not take what others could begin with at once. */
const MOST_AT_ONCE = 8
/** The queue of a pool may be long and its steps short: executions and what is due are looked at in between. */
const LOOK_MS = 100
const NOT_CLAIMED = 'steps that were offered could not be claimed; a look finds them'

export function createPooledSteps(options: PooledStepsOptions): PooledSteps {
  const { database, workerId, pools, mailboxes, attempts, mayLaunch, draining, room, log } = options
  const held = new Map<string, ClaimedStep>()
  /** by pool, where its walk over initiators goes on */
  const places = new Map<string, string | null>()
  let nextPool = 0
  let coming = 0
  let more = false
  /** there may be rows of this worker that it does not know of */
  let unsure = false
  let strangers = new Set<string>()
  let reconciling: Promise<void> | undefined

  return {
    async look() {
      const until = performance.now() + LOOK_MS
      do {
        more = isFull()
        if (more) return false
        more = await claimInTurns()
      } while (more && performance.now() < until)
      return more
    },
    get hasRoom() {
      return !isFull()
    },
    async take(pool, most) {
      let left = most
      try {
        while (left > 0 && !isFull()) {
          const wanted = Math.min(room(), left, MOST_AT_ONCE)
          left = (await claim(pool, wanted)) < wanted ? 0 : left - wanted
        }
      } catch (error) {
        log.warn({ err: error }, NOT_CLAIMED)
        return 0
      }
      if (left > 0) more = true
      return left
    },
    get size() {
      return held.size + coming
    },
    get more() {
      return more
    },
    ended(executionId, { path, attempt, epoch }, [first, ...then]) {
      const step = held.get(keyOf(executionId, path))
      const done = (): void => {
        if (step?.attempt === attempt && step.epoch === epoch) drop(step)
      }
      if (!first) return
      const failed = (error: unknown): void => {
        unsure = true
        logFailure(error)
      }
      mailboxes.post(executionId, first, { then, keep: true }).catch(failed).finally(done)
    },
    async isolate(executionId, { path }) {
      const step = held.get(keyOf(executionId, path))
      if (step && draining()) await giveBack(step)
      return step !== undefined && !draining() && (await begin(step, true))
    },
    hear(executionId) {
      const mine = [...held.values()].filter((step) => step.execution_id === executionId)
      if (mine.length > 0) void check(executionId, mine).catch(logFailure)
    },
    reconcile: () => (reconciling ??= reconcile().finally(() => (reconciling = undefined))),
    dropAll() {
      unsure = true
      for (const { execution_id } of held.values()) attempts.forget(execution_id, 'pooled')
      held.clear()
    },
    async drain(until) {
      while (held.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
      const left = [...held.values()]
      for (const { execution_id } of left) attempts.forget(execution_id, 'pooled')
      await Promise.allSettled(left.map(giveBack))
    },
  }

  async function reconcile(): Promise<void> {
    if (held.size === 0 && !unsure) return
    const before = [...held.values()]
    const rows = await readOwnSteps(database, workerId)
    const stored = new Map(rows.map((row) => [keyOf(row.execution_id, row.path), row]))
    const odd = before.filter((step) => {
      const row = stored.get(keyOf(step.execution_id, step.path))
      return !row || row.epoch !== step.epoch || row.stops
    })
    for (const [id, steps] of Map.groupBy(odd, (step) => step.execution_id)) await check(id, steps)
    const unknown = rows.filter((row) => !held.has(keyOf(row.execution_id, row.path)))
    // known to nobody at two renewals: no claim of it is under way
    const orphans = unknown.filter((row) => strangers.has(keyOf(row.execution_id, row.path)))
    strangers = new Set(unknown.map((row) => keyOf(row.execution_id, row.path)))
    unsure = strangers.size > 0
    if (orphans.length > 0 && !draining()) await beginAll(await reclaimSteps(database, workerId, orphans))
  }

  function isFull(): boolean {
    return attempts.pooledWaiting > 0 || room() <= 0
  }

  /** True: one of the pools gave all that it was asked for, and may have more. */
  async function claimInTurns(): Promise<boolean> {
    let taken = 0
    let full = false
    const most = Math.min(room(), MOST_AT_ONCE)
    for (let turn = 0; turn < pools.length && taken < most; turn++) {
      const pool = pools[(nextPool + turn) % pools.length]!
      const wanted = Math.ceil((most - taken) / (pools.length - turn))
      const claimed = await claim(pool, wanted)
      taken += claimed
      full ||= claimed === wanted
    }
    nextPool = (nextPool + 1) % pools.length
    return full
  }

  /** How many were claimed. */
  async function claim(pool: string, wanted: number): Promise<number> {
    unsure = true // until it is known what came of it
    coming += wanted
    const asked = claimSteps(database, { worker: workerId, pool, wanted, afterInitiator: places.get(pool) ?? null })
    const rows = await asked.finally(() => (coming -= wanted))
    places.set(pool, rows.at(-1)?.initiator_id ?? null)
    await beginAll(rows)
    return rows.length
  }

  async function beginAll(claimed: readonly ClaimedStep[]): Promise<void> {
    // an answer that took long: it was claimed again since
    const steps = claimed.filter((step) => !isOlder(step, held.get(keyOf(step.execution_id, step.path))))
    for (const step of steps) held.set(keyOf(step.execution_id, step.path), step)
    await Promise.all(steps.map((step) => begin(step, false)))
  }

  /** Tells the execution that this worker has it; its launch follows that commit. */
  async function begin(step: ClaimedStep, alone: boolean): Promise<boolean> {
    const { execution_id: id, path, attempt, epoch, pool } = step
    const claim = { kind: 'stepClaimed', path, attempt, epoch, pool, worker: workerId, ...(alone && { alone }) } as const
    try {
      const posted = draining() ? undefined : await mailboxes.post(id, claim)
      const snapshot = posted && 'snapshot' in posted && posted.result === 'applied' ? posted.snapshot : undefined
      if (snapshot && isOurs(snapshot, step)) return isLaunched(step)
      drop(step)
      await giveUpStep(database, workerId, step)
    } catch (error) {
      drop(step)
      unsure = true
      log.warn({ err: error }, 'a step that was claimed could not be begun; it is looked at again')
    }
    return false
  }

  /** Once it is stored that this worker has it: the lease may have been lost meanwhile, and may be back. */
  function isLaunched(step: ClaimedStep): boolean {
    const key = keyOf(step.execution_id, step.path)
    const runs = attempts.running(step.execution_id, 'pooled').has(step.path)
    if (runs && !held.has(key)) held.set(key, step)
    // claimed anew when it is back
    if (!runs && !mayLaunch()) {
      drop(step)
      unsure = true
    }
    return runs
  }

  async function giveBack(step: ClaimedStep): Promise<void> {
    const { execution_id: id, path, attempt, epoch } = step
    await mailboxes.post(id, { kind: 'stepGivenBack', path, attempt, epoch }).finally(() => drop(step))
  }

  /** Unless it was claimed again meanwhile. */
  function drop(step: ClaimedStep): void {
    const key = keyOf(step.execution_id, step.path)
    if (held.get(key) === step) held.delete(key)
  }

  /** Nobody has claimed it since, and it has not ended. */
  function isOurs({ inFlight }: Snapshot, { path, attempt, epoch }: ClaimedStep): boolean {
    const entry = inFlight.find((other) => other.path === path)
    return entry?.kind === 'pooled' && entry.attempt === attempt && entry.worker === workerId && entry.claims === epoch
  }

  /** Stops what is not wanted any more. */
  async function check(executionId: string, steps: readonly ClaimedStep[]): Promise<void> {
    // by what is stored, not by what is remembered of an execution that is held here
    mailboxes.reload(executionId)
    const posted = await mailboxes.post(executionId, { kind: 'tick' })
    const snapshot = 'snapshot' in posted ? posted.snapshot : undefined
    const stops = !snapshot || (snapshot.cancelReason !== null && snapshot.ending === null)
    for (const step of steps) {
      const isCurrent = held.get(keyOf(executionId, step.path)) === step
      if (!isCurrent || (!stops && isOurs(snapshot, step))) continue
      attempts.abort(executionId, step.path, snapshot?.cancelReason ?? 'It is not wanted any more.')
      if (!attempts.running(executionId, 'pooled').has(step.path)) drop(step)
    }
  }

  function logFailure(error: unknown): void {
    log.error({ err: error }, 'an input was not recorded')
  }
}

/** Whether the other is a claim that came after it. */
const isOlder = (step: ClaimedStep, other: ClaimedStep | undefined): boolean =>
  other !== undefined && (other.attempt === step.attempt ? other.epoch > step.epoch : other.attempt > step.attempt)
const keyOf = (executionId: string, path: string): string => `${executionId}/${path}`
