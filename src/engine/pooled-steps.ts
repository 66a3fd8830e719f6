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
  /** how many more may be claimed now */
  room(): number
  log: Logger
}

export interface PooledSteps {
  /** Claims what there is room for, in turns, for a moment; true: it may go on at once, after whatever else is to be looked at. */
  look(): Promise<boolean>
  /** those that this worker has */
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

export function createPooledSteps(options: PooledStepsOptions): PooledSteps {
  const { database, workerId, pools, mailboxes, attempts, room, log } = options
  const held = new Map<string, ClaimedStep>()
  /** by pool, where its walk over initiators goes on */
  const places = new Map<string, string | null>()
  let nextPool = 0
  let more = false
  /** there may be rows of this worker that it does not know of */
  let unsure = false
  let strangers = new Set<string>()

  return {
    async look() {
      const until = performance.now() + LOOK_MS
      do {
        more = attempts.pooledWaiting > 0 || room() <= 0
        if (more) return false
        more = (await claimInTurns()) > 0
      } while (more && performance.now() < until)
      return more
    },
    get size() {
      return held.size
    },
    get more() {
      return more
    },
    ended(executionId, { path, epoch }, [first, ...then]) {
      const key = keyOf(executionId, path)
      const done = (): void => {
        if (held.get(key)?.epoch === epoch) held.delete(key)
      }
      if (first) mailboxes.post(executionId, first, { then, keep: true }).catch(logFailure).finally(done)
    },
    async isolate(executionId, { path }) {
      const step = held.get(keyOf(executionId, path))
      return step !== undefined && (await begin(step, true))
    },
    hear(executionId) {
      const mine = [...held.values()].filter((step) => step.execution_id === executionId)
      if (mine.length > 0) void check(executionId, mine).catch(logFailure)
    },
    async reconcile() {
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
      if (orphans.length > 0) await beginAll(await reclaimSteps(database, workerId, orphans))
    },
    dropAll() {
      unsure = true
      for (const { execution_id } of held.values()) attempts.forget(execution_id, 'pooled')
      held.clear()
    },
    async drain(until) {
      while (held.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
      const left = [...held.values()]
      for (const { execution_id } of left) attempts.forget(execution_id, 'pooled')
      await Promise.allSettled(
        left.map(({ execution_id, path, attempt, epoch }) =>
          mailboxes.post(execution_id, { kind: 'stepGivenBack', path, attempt, epoch }),
        ),
      )
      held.clear()
    },
  }

  /** How many were claimed. */
  async function claimInTurns(): Promise<number> {
    let taken = 0
    const most = Math.min(room(), MOST_AT_ONCE)
    for (let turn = 0; turn < pools.length && taken < most; turn++) {
      const pool = pools[(nextPool + turn) % pools.length]!
      const wanted = Math.ceil((most - taken) / (pools.length - turn))
      unsure = true // until it is known what came of it
      const rows = await claimSteps(database, { worker: workerId, pool, wanted, afterInitiator: places.get(pool) ?? null })
      places.set(pool, rows.at(-1)?.initiator_id ?? null)
      taken += rows.length
      await beginAll(rows)
    }
    nextPool = (nextPool + 1) % pools.length
    return taken
  }

  async function beginAll(steps: readonly ClaimedStep[]): Promise<void> {
    for (const step of steps) held.set(keyOf(step.execution_id, step.path), step)
    await Promise.all(steps.map((step) => begin(step, false)))
  }

  /** Tells the execution that this worker has it; its launch follows that commit. */
  async function begin(step: ClaimedStep, alone: boolean): Promise<boolean> {
    const { execution_id: id, path, attempt, epoch } = step
    const claim = { kind: 'stepClaimed', path, attempt, epoch, worker: workerId, ...(alone && { alone }) } as const
    try {
      let posted = await mailboxes.post(id, claim)
      if (posted.result === 'late') {
        // what is remembered of an execution that is held here may be older than the row
        mailboxes.reload(id)
        posted = await mailboxes.post(id, claim)
      }
      const snapshot = 'snapshot' in posted && posted.result === 'applied' ? posted.snapshot : undefined
      if (snapshot && isOurs(snapshot, step)) return attempts.running(id, 'pooled').has(path)
      drop(step)
      await giveUpStep(database, workerId, step)
    } catch (error) {
      drop(step)
      unsure = true
      log.warn({ err: error }, 'a step that was claimed could not be begun; it is looked at again')
    }
    return false
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
    const posted = await mailboxes.post(executionId, { kind: 'tick' })
    const snapshot = 'snapshot' in posted ? posted.snapshot : undefined
    const stops = !snapshot || (snapshot.cancelReason !== null && snapshot.ending === null)
    for (const step of steps) {
      if (!stops && isOurs(snapshot, step)) continue
      attempts.abort(executionId, step.path, snapshot?.cancelReason ?? 'It is not wanted any more.')
      if (!attempts.running(executionId, 'pooled').has(step.path)) held.delete(keyOf(executionId, step.path))
    }
  }

  function logFailure(error: unknown): void {
    log.error({ err: error }, 'an input was not recorded')
  }
}

const keyOf = (executionId: string, path: string): string => `${executionId}/${path}`
