/**
 * Steps that a worker of another pool runs: they wait in a queue of their own, and whoever claims one decides on its execution as a
 * visitor, without holding it. To the step it is as if it ran in place: its attempts, its time and its secrets are the same.
 */
import { encodeId } from '../../ids.ts'
import { isAct, runsOnce } from '../../language/steps/step-types.ts'
import type { ActSpec } from '../../language/steps/step-types.ts'
import type { Draft } from '../decide/draft.ts'
import { emitOf, isStopping, replaceInFlight } from '../decide/draft.ts'
import { storable } from '../decide/end-step.ts'
import type { Input, InputResult } from '../decide/input.ts'
import { runAt } from '../decide/run.ts'
import type { Run } from '../decide/run.ts'
import type { Snapshot } from '../decide/snapshot.ts'
import { mayGoOn } from '../decide/take-up.ts'
import type { WaitRow } from '../decide/wait-rows.ts'
import { isSuspect } from '../in-flight.ts'
import type { ActEntry, AttemptEntry, PooledEntry } from '../in-flight.ts'
import { actInput, launch } from './act.ts'

export function beginPooled(draft: Draft, run: Run, pool: string, attempt: number): void {
  draft.inFlight.push({ kind: 'pooled', path: run.path, attempt, startedAt: draft.lastEventAt, pool, epoch: 0 })
}

/** What nobody has begun waits where its step says now, which may be another version of it. */
export function requeue(draft: Draft, run: Run, spec: ActSpec, entry: AttemptEntry): void {
  const pool = draft.world.pools ? run.step.pool : undefined
  if (pool === (entry.kind === 'pooled' ? entry.pool : undefined)) return
  const { path, attempt, startedAt, firstAt, crashes } = entry
  const kept = {
    path,
    attempt,
    startedAt,
    epoch: 0,
    ...(firstAt !== undefined && { firstAt }),
    ...(crashes !== undefined && { crashes }),
  }
  if (pool !== undefined) {
    const claims = entry.kind === 'pooled' ? entry.claims : undefined
    return replaceInFlight(draft, { ...kept, kind: 'pooled', pool, ...(claims !== undefined && { claims }) })
  }
  const act: ActEntry = { ...kept, kind: 'act' }
  replaceInFlight(draft, act)
  launch(draft, run, spec, act)
}

/** late: it is not wanted any more, or somebody else has claimed it since. */
export function stepClaimed(draft: Draft, claim: Input & { kind: 'stepClaimed' }): InputResult {
  const entry = entryOf(draft, claim)
  const run = entry && runAt(draft.from.program, entry.path)
  if (!entry || !run || !isAct(run.step.spec)) return 'late'
  const { claims = 0 } = entry
  // it has moved to another version of its flow meanwhile
  if (claim.pool !== undefined && claim.pool !== entry.pool) return 'late'
  if (claims > claim.epoch || (claims === claim.epoch && entry.worker !== claim.worker)) return 'late'
  // what was about to begin when the execution was paused does not
  if (draft.pauseReason !== null && entry.epoch === 0) return 'late'
  const { spec } = run.step
  const { worker, epoch, alone = false } = claim
  // told before, but nobody learned that it was stored: nothing has been launched
  const isTold = entry.epoch === epoch && !isStopping(draft)
  const found = isTold ? entry : mayGoOn(draft, run, spec, entry, { epoch, alone })
  if (!found) return 'applied'
  // a suspect is launched when its turn has come
  const suspect = isSuspect(found)
  if (suspect && draft.pauseReason !== null) {
    leaveQueues(draft)
    return 'applied'
  }
  const claimed: PooledEntry = { ...found, worker, claims: epoch, epoch: suspect ? 0 : epoch }
  replaceInFlight(draft, claimed)
  const by = { worker: encodeId('worker', worker) }
  if (!suspect) emitOf(draft, run, alone ? 'step.isolated' : 'step.claimed', { attempt: entry.attempt, data: by })
  const input = storable(draft, run, claimed, actInput(draft, run, spec, claimed), 'with')
  if (input !== undefined) draft.launches.push({ run, spec, entry: claimed, input, suspect })
  return 'applied'
}

/** It runs again elsewhere; one that may run at most once keeps its epoch: whoever claims it next finds its outcome unknown. */
export function stepGivenBack(draft: Draft, given: Input & { kind: 'stepGivenBack' }): InputResult {
  const entry = entryOf(draft, given)
  const spec = entry && runAt(draft.from.program, entry.path)?.step.spec
  if (!spec || entry.worker === undefined || entry.claims !== given.epoch) return 'late'
  const { worker: _worker, ...left } = entry
  replaceInFlight(draft, isAct(spec) && runsOnce(spec) ? left : { ...left, epoch: 0, alone: false })
  return 'applied'
}

/** Of a paused execution what has not begun is nobody's: a suspect too, whose turn has not come at the worker that claimed it. */
export function leaveQueues(draft: Draft): void {
  for (const entry of [...draft.inFlight]) {
    if (entry.kind !== 'pooled' || entry.epoch !== 0) continue
    const { worker: _worker, ...left } = entry
    replaceInFlight(draft, left)
  }
}

function entryOf(draft: Draft, { path, attempt }: { path: string; attempt: number }): PooledEntry | undefined {
  const entry = draft.inFlight.find((other) => other.path === path)
  return entry?.kind === 'pooled' && entry.attempt === attempt ? entry : undefined
}

type Queued = Pick<Snapshot, 'inFlight' | 'pauseReason'>

/** What of the queue changes between two states of an execution. */
export function queueChanges(from: Queued, next: Queued): WaitRow[] {
  const [was, is] = [pooledOf(from), pooledOf(next)]
  const changes: WaitRow[] = []
  for (const entry of was) if (!is.some(isSame(entry))) changes.push({ kind: 'unpooled', path: entry.path })
  for (const entry of is) {
    const { path, attempt, pool, claims = 0 } = entry
    const before = was.find(isSame(entry))
    // of a version that names another pool: whoever claimed it there, and has not told it yet, comes too late
    const moved = before !== undefined && before.pool !== pool
    const wasAside = before !== undefined && !moved && isAside(from, before)
    const aside = isAside(next, entry)
    if (!before || moved || (wasAside && !aside)) changes.push({ kind: 'pooled', path, attempt, pool, epoch: claims })
    else if (before.worker !== undefined && entry.worker === undefined) changes.push({ kind: 'requeued', path, epoch: claims })
    if (aside && !wasAside) changes.push({ kind: 'setAside', path, epoch: claims })
  }
  return changes
}

const isSame = (one: PooledEntry) => (other: PooledEntry) => one.path === other.path && one.attempt === other.attempt

const pooledOf = ({ inFlight }: Queued): PooledEntry[] => inFlight.filter((entry) => entry.kind === 'pooled')

/** Of a paused execution nothing new begins. */
const isAside = ({ pauseReason }: Queued, { epoch }: PooledEntry): boolean => pauseReason !== null && epoch === 0
