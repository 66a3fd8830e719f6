/** The engine's entities, as MikroORM wants to know them. */
import { AgentRequest } from './agent-request.ts'
import { Execution } from './execution.ts'
import { FlowVersion } from './flow-version.ts'
import { Flow } from './flow.ts'
import { StepRun } from './step-run.ts'

export const ENGINE_ENTITIES = [Flow, FlowVersion, Execution, StepRun, AgentRequest]
