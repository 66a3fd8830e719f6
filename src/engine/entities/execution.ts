/** One run of one flow version. Read only: the commit function alone writes it (src/engine/commit.sql). */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { InFlight } from '../in-flight.ts'
import type { ExecutionStatus, UnhappyStatus } from '../states.ts'

export interface ExecutionError {
  code: string
  message: string
  step?: string
}

const ExecutionSchema = defineEntity({
  name: 'Execution',
  tableName: 'executions',
  schema: 'sluice',
  readonly: true,
  properties: {
    id: p.uuid().primary(),
    flowId: p.uuid(),
    flowVersionId: p.uuid(),
    initiatorId: p.uuid(),
    parentId: p.uuid().nullable(),
    retryOf: p.uuid().nullable(),
    triggerId: p.uuid().nullable(),
    priority: p.smallint(),
    status: p.string().$type<ExecutionStatus>(),
    version: p.integer(),
    epoch: p.integer(),
    owner: p.uuid().nullable(),
    wakeAt: p.datetime().nullable(),
    deadlineAt: p.datetime().nullable(),
    cancelReason: p.string().nullable(),
    pauseReason: p.string().nullable(),
    ending: p.string().$type<UnhappyStatus>().nullable(),
    seq: p.integer(),
    lastEventAt: p.datetime(),
    stateBytes: p.integer(),
    tokens: p.integer(),
    stepsTotal: p.smallint(),
    stepsSucceeded: p.smallint(),
    stepsFailed: p.smallint(),
    stepsSkipped: p.smallint(),
    inFlight: p.json<InFlight[]>(),
    labels: p.json<Record<string, string>>().nullable(),
    createdAt: p.datetime(),
    startedAt: p.datetime().nullable(),
    endedAt: p.datetime().nullable(),
    reason: p.string().nullable(),
    error: p.json<ExecutionError>().nullable(),
  },
})
export class Execution extends ExecutionSchema.class {}
ExecutionSchema.setClass(Execution)
