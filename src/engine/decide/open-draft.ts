/** The two ends of a transition: the draft that a snapshot is opened as, and the snapshot that it leaves. */
import type { Draft, World } from './draft.ts'
import type { Snapshot } from './snapshot.ts'

const NO_SIGNALS: readonly never[] = []
const NO_LISTS: Draft['lists'] = new Map()

/** Written out: objects of so many fields that are made of spreads are slow ones, and every transition makes one. */
export function openDraft(from: Snapshot, world: World): Draft {
  return {
    from,
    world,
    status: from.status,
    owner: from.owner,
    epoch: from.epoch,
    deadlineAt: from.deadlineAt,
    cancelReason: from.cancelReason,
    pauseReason: from.pauseReason,
    ending: from.ending,
    wakeAt: from.wakeAt,
    seq: from.seq,
    lastEventAt: from.lastEventAt,
    stateBytes: from.stateBytes,
    startedAt: from.startedAt,
    endedAt: from.endedAt,
    reason: from.reason,
    error: from.error,
    steps: new Map(from.steps),
    inFlight: from.inFlight.slice(),
    signals: from.signals ?? NO_SIGNALS,
    knownSignals: from.knownSignals ?? NO_SIGNALS,
    lists: from.lists ?? NO_LISTS,
    tokens: from.tokens ?? 0,
    events: [],
    stepRuns: [],
    asks: [],
    closedAsks: [],
    waits: [],
    launches: [],
    aborts: [],
    readMessages: [],
    words: [],
    lates: [],
    results: [],
    more: false,
  }
}

/** What the execution is after this transition. */
export function snapshotAfter(draft: Draft): Required<Snapshot> {
  const { from } = draft
  return {
    id: from.id,
    flowId: from.flowId,
    flowVersionId: from.flowVersionId,
    initiatorId: from.initiatorId,
    program: from.program,
    input: from.input,
    status: draft.status,
    version: from.version + 1,
    epoch: draft.epoch,
    owner: draft.owner,
    wakeAt: draft.wakeAt,
    priority: from.priority ?? 0,
    deadlineAt: draft.deadlineAt,
    cancelReason: draft.cancelReason,
    pauseReason: draft.pauseReason,
    ending: draft.ending,
    seq: draft.seq,
    lastEventAt: draft.lastEventAt,
    stateBytes: draft.stateBytes,
    createdAt: from.createdAt,
    startedAt: draft.startedAt,
    endedAt: draft.endedAt,
    reason: draft.reason,
    error: draft.error,
    steps: draft.steps,
    inFlight: draft.inFlight,
    signals: draft.signals,
    knownSignals: draft.knownSignals,
    parentId: from.parentId ?? null,
    slotKey: from.slotKey ?? null,
    origin: from.origin ?? null,
    lists: draft.lists,
    tokens: draft.tokens,
  }
}
