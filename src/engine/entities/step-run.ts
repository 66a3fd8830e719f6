/** One step (or one item of a map) of an execution that has ended; what still runs is in the execution's `inFlight`. Read only. */
import { defineEntity, p } from '@mikro-orm/postgresql'
import type { Json } from '../../language/values.ts'
import type { EndedStepStatus } from '../states.ts'

const StepRunSchema = defineEntity({
  name: 'StepRun',
  tableName: 'step_runs',
  schema: 'sluice',
  readonly: true,
  properties: {
    executionId: p.uuid().primary(),
    path: p.string().primary(),
    name: p.string(),
    type: p.string(),
    status: p.string().$type<EndedStepStatus>(),
    attempt: p.integer(),
    startedAt: p.datetime().nullable(),
    finishedAt: p.datetime(),
    route: p.string().nullable(),
    input: p.json<Json>().nullable().lazy(),
    output: p.json<Json>().nullable().lazy(),
    error: p.json<{ code: string; message: string }>().nullable(),
    reusedFrom: p.uuid().nullable(),
  },
})
export class StepRun extends StepRunSchema.class {}
StepRunSchema.setClass(StepRun)
