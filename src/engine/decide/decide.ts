/**
 * decide(snapshot, inputs, world) -> transition: the whole behaviour of an execution as a pure function. No clock, no I/O, no
 * chance: time comes in with `world`, ids and jitter are derived. All inputs given fold into one transition.
 */
import { hasEnded } from '../states.ts'
import { isAttempt, isComposite } from '../in-flight.ts'
import { endAgent } from '../steps/agent.ts'
import { applyToApproval } from '../steps/approval.ts'
import { receiveSignal, takeSignals } from '../steps/signal.ts'
import { childEnded, childStarted } from '../steps/flow.ts'
import { leaveQueues, queueChanges, stepClaimed, stepGivenBack } from '../steps/pooled.ts'
import { advance, MOST_WORK } from './advance.ts'
import type { Draft, Transition, World } from './draft.ts'
import { emit, emitOf, isDraining, isStopping, mayAdopt } from './draft.ts'
import { compensate } from './compensate.ts'
import { conclude, endExecution } from './end-execution.ts'
import { fail, succeed } from './end-step.ts'
import { fireWhatIsDue } from './fire-due.ts'
import { abortOf, cancelStep, tellChild } from './record-step.ts'
import type { Ending } from './record-step.ts'
import { handBack, letGo } from './hand-back.ts'
import type { Input, InputResult } from './input.ts'
import { migrate } from './migrate.ts'
import { runAt } from './run.ts'
import { applyReport } from './report.ts'
import { startOfRetry, tellReused } from './reuse.ts'
import { runsAny, runsElsewhere, settle } from './settle.ts'
import { openDraft, snapshotAfter } from './open-draft.ts'
import { NEVER_MS } from './snapshot.ts'
import type { Snapshot } from './snapshot.ts'
import { takeUp } from './take-up.ts'
import { tokensAfter } from './tokens.ts'

export function decide(snapshot: Snapshot, inputs: readonly Input[], world: World): Transition {
  const draft = openDraft(snapshot, world)
  adopt(draft, inputs)
  for (const input of inputs) draft.results.push(apply(draft, input))
  if (!hasEnded(draft.status)) fireWhatIsDue(draft)
  if (isStopping(draft) && !hasEnded(draft.status) && !runsAny(draft) && !runsElsewhere(draft))
    conclude(draft, 'CANCELED', draft.cancelReason!)
  if (!hasEnded(draft.status) && draft.startedAt !== null) {
    do advance(draft)
    while (!draft.more && takeSignals(draft, MOST_WORK))
  }
  if (draft.ending !== null) compensate(draft)
  letGo(draft)
  if (!hasEnded(draft.status)) settle(draft)
  draft.tokens = tokensAfter(draft)
  if (draft.tokens !== (snapshot.tokens ?? 0)) draft.waits.push({ kind: 'tokens', tokens: draft.tokens })
  return close(draft, inputs)
}

/** What nobody holds is held by this worker from here on, if it wants to; `settle` gives it back when nothing is to be run. */
function adopt(draft: Draft, inputs: readonly Input[]): void {
  const { from, world } = draft
  if (from.owner !== null || !mayAdopt(world, from.program) || hasEnded(from.status)) return
  if (from.startedAt === null && !inputs.some(({ kind }) => kind === 'started')) return
  draft.owner = world.worker
  draft.epoch++
  draft.wakeAt = null
  takeUp(draft)
}

function apply(draft: Draft, input: Input): InputResult {
  switch (input.kind) {
    case 'outcome':
      return applyOutcome(draft, input)
    case 'message':
      noteRead(draft, input)
      return hasEnded(draft.status) ? 'illegal' : cancel(draft, input)
    case 'childEnded':
      noteRead(draft, input)
      if (hasEnded(draft.status)) return 'illegal'
      childEnded(draft, input)
      return 'applied'
    default:
      return hasEnded(draft.status) ? 'illegal' : applyToLiving(draft, input)
  }
}

/** What has ended before changes no more: words to it are forgotten in time. */
function noteRead(draft: Draft, { key }: { key: string }): void {
  if (!hasEnded(draft.from.status)) draft.readMessages.push(key)
}

function applyToLiving(draft: Draft, input: Exclude<Input, { kind: 'outcome' | 'message' | 'childEnded' }>): InputResult {
  const { world } = draft
  switch (input.kind) {
    case 'started':
      if (draft.startedAt !== null) return 'duplicate'
      emit(draft, 'execution.started', startOfRetry(draft))
      draft.status = 'RUNNING'
      draft.startedAt = draft.lastEventAt
      tellReused(draft)
      return 'applied'
    case 'claimed':
      takeUp(draft)
      return 'applied'
    case 'isolated':
      return isolate(draft, input)
    case 'stepClaimed':
      return stepClaimed(draft, input)
    case 'stepGivenBack':
      return stepGivenBack(draft, input)
    case 'reported':
      return applyReport(draft, input)
    case 'answered': {
      const entry = draft.inFlight.find((e) => e.kind === 'agent' && e.requestId === input.requestId)
      const run = entry && runAt(draft.from.program, entry.path)
      if (entry?.kind !== 'agent' || !run || entry.dueAt <= world.now) return 'illegal'
      endAgent(draft, run, entry, input)
      return 'applied'
    }
    case 'signaled':
      return receiveSignal(draft, input)
    case 'voted':
    case 'delegated':
      return applyToApproval(draft, input)
    case 'cancel':
      return cancel(draft, input)
    case 'pause':
      if (draft.pauseReason !== null || draft.cancelReason !== null || draft.ending !== null) return 'illegal'
      draft.pauseReason = input.reason
      leaveQueues(draft)
      emit(draft, 'execution.paused', { data: saidWith(input) })
      return 'applied'
    case 'resume':
      if (draft.pauseReason === null) return 'illegal'
      draft.pauseReason = null
      // else the pause was never stored: what it waits for is as it was
      if (draft.status === 'PAUSED') {
        draft.status = draft.startedAt === null ? 'PENDING' : 'RUNNING'
        if (draft.startedAt === null) draft.wakeAt = startOf(draft)
      }
      emit(draft, 'execution.resumed', input.reason === undefined && input.by === undefined ? {} : { data: saidWith(input) })
      return 'applied'
    case 'migrate':
      return migrate(draft, input.migration, input.by)
    case 'handBack':
      return handBack(draft)
    case 'notAllowed':
      endExecution(draft, 'FAILED', `NOT_ALLOWED: ${input.message}`, { code: 'NOT_ALLOWED', message: input.message })
      return 'applied'
    case 'unstorable':
      endExecution(draft, 'FAILED', `UNSTORABLE_OUTPUT: ${input.message}`, { code: 'UNSTORABLE_OUTPUT', message: input.message })
      return 'applied'
    case 'tick':
      return 'applied'
    default:
      return input satisfies never
  }
}

/** When a start of later is due; null: now. The deadline was counted from it. One that needs a slot is woken when it has it. */
function startOf({ from, deadlineAt, world }: Draft): number | null {
  if (from.slotKey != null) return NEVER_MS
  const startAt = (deadlineAt ?? 0) - from.program.timeoutMs
  return startAt > world.now ? startAt : null
}

/** An outcome names (path, attempt, epoch): recorded already is success, not in flight is late. */
function applyOutcome(draft: Draft, input: Input & { kind: 'outcome' }): InputResult {
  const { path, attempt, epoch, outcome } = input
  const entry = draft.inFlight.find((e) => e.path === path)
  const run = runAt(draft.from.program, path)
  if (run && entry && isAttempt(entry) && entry.attempt === attempt && entry.epoch === epoch && !hasEnded(draft.status)) {
    const ending: Ending = input.input === undefined ? entry : { ...entry, input: input.input }
    if (outcome.ok && entry.kind === 'act' && entry.childId !== undefined) childStarted(draft, run, entry)
    else if (outcome.ok) succeed(draft, run, ending, outcome.output, { bytes: outcome.bytes })
    else if (outcome.code === 'CANCELED' && isStopping(draft)) cancelStep(draft, run, entry)
    else {
      // somebody else may have started it meanwhile: then it is not waited for
      if (entry.kind === 'act') tellChild(draft, entry, 'The step that started it has failed.')
      fail(draft, run, ending, outcome.code, outcome.message, outcome)
    }
    return 'applied'
  }
  const ended = draft.steps.get(path)
  if (ended?.attempt === attempt && (ended.status === 'SUCCEEDED' || ended.status === 'FAILED')) return 'duplicate'
  if (!hasEnded(draft.status)) {
    // what was inside of a map or a loop that has ended, and stopped as it was told, is no news
    const stopped = run?.within && !outcome.ok && outcome.code === 'CANCELED'
    if (run && !stopped) emitOf(draft, run, 'step.late', { attempt })
    else if (!run) emit(draft, 'step.late', { step: path, path, attempt })
  } else
    draft.lates.push({
      path,
      attempt,
      epoch,
      outcome: outcome.ok ? { output: outcome.output } : { ...outcome, retryable: false },
    })
  return 'late'
}

function isolate(draft: Draft, input: Input & { kind: 'isolated' }): InputResult {
  const entry = draft.inFlight.find((e) => e.path === input.path)
  if (entry?.kind !== 'act' || entry.attempt !== input.attempt || entry.epoch !== 0) return 'late'
  if (draft.owner !== draft.world.worker || isDraining(draft)) return 'late'
  takeUp(draft, entry)
  const run = runAt(draft.from.program, entry.path)
  if (run) emitOf(draft, run, 'step.isolated', { attempt: entry.attempt })
  return 'applied'
}

const saidWith = ({ reason, by }: { reason?: string; by?: string }): Record<string, string> => ({
  ...(reason !== undefined && { reason }),
  ...(by !== undefined && { by }),
})

/** Waits, and what was only about to be launched, end now; what runs is told to stop and has until the fence. One that ends anyway goes on undoing: that has its own fence. */
function cancel(draft: Draft, asked: { reason: string; by?: string }): InputResult {
  if (draft.cancelReason !== null || draft.ending !== null) return 'duplicate'
  const { reason } = asked
  draft.cancelReason = reason
  draft.pauseReason = null
  emit(draft, 'execution.cancelRequested', { data: saidWith(asked) })
  for (const entry of draft.inFlight) {
    const isLaunched = !draft.launches.some((launch) => launch.entry.path === entry.path)
    if (isAttempt(entry) && entry.epoch !== 0 && isLaunched) {
      draft.aborts.push(abortOf(entry))
      continue
    }
    // a child is told and waited for, until the fence; what is inside of a map or a loop ends before it
    if (entry.kind === 'child') tellChild(draft, entry, reason)
    if (entry.kind === 'child' || isComposite(entry)) continue
    const run = runAt(draft.from.program, entry.path)
    if (run) cancelStep(draft, run, entry)
  }
  const fence = draft.world.now + draft.world.fenceMs
  draft.deadlineAt = Math.min(draft.deadlineAt ?? fence, fence)
  return 'applied'
}

/** Inside of maps and loops much happens without an event. */
const goesOn = ({ from, stepRuns, inFlight }: Draft): boolean =>
  stepRuns.length > 0 || inFlight.length !== from.inFlight.length || inFlight.some((entry, at) => entry !== from.inFlight[at])

function close(draft: Draft, inputs: readonly Input[]): Transition {
  const { from, events, launches, readMessages } = draft
  if (from.program.usesPools) draft.waits.push(...queueChanges(from, draft))
  const moved = draft.status !== from.status || draft.owner !== from.owner || draft.wakeAt !== from.wakeAt
  // what is not stored yet is stored, whatever it says
  const changed =
    from.version === 0 ||
    moved ||
    events.length > 0 ||
    readMessages.length > 0 ||
    launches.some(({ suspect }) => !suspect) ||
    goesOn(draft)
  const transition: Transition = {
    from,
    next: changed ? snapshotAfter(draft) : from,
    inputs,
    changed,
    launches,
    events,
    readMessages,
    results: draft.results,
    more: draft.more,
    stepRuns: draft.stepRuns,
    asks: draft.asks,
    closedAsks: draft.closedAsks,
    waits: draft.waits,
    words: draft.words,
    lates: draft.lates,
    aborts: draft.aborts,
  }
  return draft.output === undefined ? transition : { ...transition, output: draft.output }
}
