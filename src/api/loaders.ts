/** Batched reads of what belongs to executions: all that one operation asks for at once is one statement, whatever the nesting. */
import DataLoader from 'dataloader'
import type { Execution } from '../engine/entities/execution.ts'
import type { Flow } from '../engine/entities/flow.ts'
import type { FlowGrant } from '../identity/entities/flow-grant.ts'
import type { JsonObject } from '../language/values.ts'
import type { Call } from '../operations/call.ts'
import { loadDefinitions, loadNewestVersions } from '../operations/load-by-id.ts'
import type { FlowVersionHead } from '../operations/load-by-id.ts'
import { loadFlowTriggers, loadTriggerNames } from '../operations/triggers/load-triggers.ts'
import type { TriggerName } from '../operations/triggers/load-triggers.ts'
import type { FlowAction } from '../operations/permissions.ts'
import { findFailureFlows } from '../operations/executions/find-failure-flows.ts'
import type { FailureOf } from '../operations/executions/find-failure-flows.ts'
import { readSignals } from '../operations/executions/read-signals.ts'
import type { SignalsWanted, SignalView } from '../operations/executions/read-signals.ts'
import { readAnswerable, readApprovals } from '../operations/agent-requests/read-approvals.ts'
import type { Approval } from '../operations/agent-requests/read-approvals.ts'
import { findRetries } from '../operations/executions/find-retries.ts'
import { readAllowedActions, readFlowGrants } from '../operations/flows/read-flow-access.ts'
import { readEvents } from '../operations/executions/read-events.ts'
import type { EventRow, EventsWanted } from '../operations/executions/read-events.ts'
import { readCounts, readItems } from '../operations/executions/read-items.ts'
import type { Item, ItemsWanted, StepCounts } from '../operations/executions/read-items.ts'
import * as payloads from '../operations/executions/read-payloads.ts'
import type { Payload, StepRunKey } from '../operations/executions/read-payloads.ts'
import { readHolders } from '../operations/executions/read-slots.ts'
import { readFirings, readFiringsOf, readFlowSchedules, readSchedules } from '../operations/triggers/read-schedules.ts'
import type { Firing, FiringsWanted } from '../operations/triggers/read-schedules.ts'
import { readSteps } from '../operations/executions/read-steps.ts'
import type { StepView } from '../operations/executions/read-steps.ts'
import { readWaiting } from '../operations/executions/read-waiting.ts'
import { readPools } from '../operations/workers/read-pools.ts'
import type { PoolWorkers } from '../operations/workers/read-pools.ts'
import { readTriggerStatistics } from '../operations/triggers/read-trigger-statistics.ts'
import type { TriggerStatistics } from '../operations/triggers/read-trigger-statistics.ts'
import type { View } from '../operations/executions/unmask.ts'
import type { Waiting } from '../operations/executions/waiting-for.ts'
import type { Trigger } from '../triggers/entities/trigger.ts'
import type { Schedule } from '../triggers/schedule.ts'

/** An execution as of one version: later mutations of the same operation must not be answered from earlier reads. */
type AsOf = Pick<Execution, 'id' | 'version'>

export interface Loaders {
  steps: DataLoader<Execution, StepView[], string>
  events: DataLoader<AsOf & EventsWanted, EventRow[], string>
  inputs: DataLoader<string, Payload | null>
  outputs: DataLoader<AsOf, Payload | null, string>
  states: DataLoader<AsOf, Payload | null, string>
  stepCounts: DataLoader<StepView, StepCounts | null>
  items: DataLoader<ItemsWanted, Item[]>
  stepInputs: DataLoader<StepRunKey, Payload | null, string>
  stepOutputs: DataLoader<StepRunKey, Payload | null, string>
  requestBodies: DataLoader<string, Payload | null>
  requestAnswers: DataLoader<AsOf, Payload | null, string>
  signals: DataLoader<AsOf & SignalsWanted, SignalView[], string>
  approvals: DataLoader<string, Approval | null>
  answerable: DataLoader<string, boolean>
  definitions: DataLoader<string, JsonObject | null>
  newestVersions: DataLoader<Flow, FlowVersionHead, string>
  allowedActions: DataLoader<string, FlowAction[]>
  flowGrants: DataLoader<string, FlowGrant[] | null>
  flowTriggers: DataLoader<string, Trigger[]>
  triggerNames: DataLoader<string, TriggerName | null>
  retries: DataLoader<string, string | null>
  slotHolders: DataLoader<string, string[]>
  failureFlows: DataLoader<string, FailureOf>
  flowSchedules: DataLoader<string, Schedule[]>
  schedules: DataLoader<string, Schedule | null>
  firings: DataLoader<FiringsWanted, Firing[]>
  firingsOf: DataLoader<string, Firing | null>
  waiting: DataLoader<Execution, Waiting | null, string>
  /** by name: who serves it */
  pools: DataLoader<string, PoolWorkers>
  triggerStatistics: DataLoader<Trigger, TriggerStatistics | null>
}

const BY_CALL: Record<View, WeakMap<Call, Loaders>> = { MASKED: new WeakMap(), UNMASKED: new WeakMap() }

/** The loaders of this operation; unmasked for fields that were asked to be. */
export function loadersOf(call: Call, view: View = 'MASKED'): Loaders {
  const known = BY_CALL[view].get(call)
  if (known) return known
  const made = createLoaders(call, view)
  BY_CALL[view].set(call, made)
  return made
}

function createLoaders(call: Call, view: View): Loaders {
  const ids = (keys: readonly AsOf[]) => keys.map((key) => key.id)
  return {
    steps: batch((executions: readonly Execution[]) => readSteps(call, executions), asOf),
    events: batch(
      (wanted) => readEvents(call, wanted, view),
      (key) => `${asOf(key)} ${key.after} ${key.first}`,
    ),
    inputs: batch((keys) => payloads.readInputs(call, keys, view), itself),
    outputs: batch((keys) => payloads.readOutputs(call, ids(keys), view), asOf),
    states: batch((keys) => payloads.readStates(call, ids(keys), view), asOf),
    stepCounts: new DataLoader((steps) => readCounts(call, steps), { cache: false }),
    items: new DataLoader((wanted) => readItems(call, wanted), { cache: false }),
    stepInputs: batch((keys) => payloads.readStepInputs(call, keys, view), stepKey),
    stepOutputs: batch((keys) => payloads.readStepOutputs(call, keys, view), stepKey),
    requestBodies: batch((keys) => payloads.readRequestBodies(call, keys, view), itself),
    requestAnswers: batch((keys) => payloads.readRequestAnswers(call, ids(keys), view), asOf),
    definitions: batch((keys) => loadDefinitions(call, keys), itself),
    signals: batch(
      (wanted) => readSignals(call, wanted),
      (key) => `${asOf(key)} ${key.after} ${key.first}`,
    ),
    approvals: anew((ids) => readApprovals(call, ids)),
    answerable: anew((ids) => readAnswerable(call, ids)),
    allowedActions: anew((ids) => readAllowedActions(call, ids)),
    flowGrants: anew((ids) => readFlowGrants(call, ids)),
    flowTriggers: anew((ids) => loadFlowTriggers(call, ids)),
    failureFlows: anew((ids) => findFailureFlows(call, ids)),
    slotHolders: anew((ids) => readHolders(call, ids)),
    triggerStatistics: new DataLoader((triggers) => readTriggerStatistics(call, triggers), { cache: false }),
    triggerNames: batch((ids) => loadTriggerNames(call, ids), itself),
    retries: anew((ids) => findRetries(call, ids)),
    flowSchedules: anew((ids) => readFlowSchedules(call, ids)),
    schedules: anew((ids) => readSchedules(call, ids)),
    firings: new DataLoader((wanted) => readFirings(call, wanted), { cache: false }),
    firingsOf: anew((ids) => readFiringsOf(call, ids)),
    waiting: batch((executions: readonly Execution[]) => readWaiting(call, executions), asOf),
    pools: anew((pools) => readPools(call, pools)),
    newestVersions: batch(
      (flows) => loadNewestVersions(call, flows),
      (flow) => `${flow.id} ${flow.latestNumber}`,
    ),
  }
}

const batch = <Key, Value, CacheKey>(
  read: (keys: readonly Key[]) => Promise<Value[]>,
  cacheKeyFn: (key: Key) => CacheKey,
): DataLoader<Key, Value, CacheKey> => new DataLoader(read, { cacheKeyFn })

/** What has no version to be cached by is read again by whoever asks later. */
const anew = <Value>(read: (ids: readonly string[]) => Promise<Value[]>): DataLoader<string, Value> =>
  new DataLoader(read, { cache: false })

const itself = (id: string): string => id
const asOf = ({ id, version }: AsOf): string => `${id} ${version}`
const stepKey = ({ executionId, path, status }: StepRunKey & { status?: string }): string => `${executionId}/${path} ${status}`
