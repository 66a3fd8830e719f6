/** The list of step types: a new one is its file beside this one, and a line in each of the three lists here. */
import type { z } from 'zod'
import { agent, type AgentSpec, type AgentStep } from './agent.ts'
import { approval, type ApprovalSpec, type ApprovalStep } from './approval.ts'
import { fail, type FailSpec, type FailStep } from './fail.ts'
import { flow, type FlowSpec, type FlowStep } from './flow.ts'
import { handler, type HandlerSpec, type HandlerStep } from './handler.ts'
import { http, type HttpSpec, type HttpStep } from './http.ts'
import { loop, type LoopSpec, type LoopStep } from './loop.ts'
import { map, type MapSpec, type MapStep } from './map.ts'
import { notify, type NotifySpec, type NotifyStep } from './notify.ts'
import { query, type QuerySpec, type QueryStep } from './query.ts'
import { route, type RouteSpec, type RouteStep } from './route.ts'
import { signal, type SignalSpec, type SignalStep } from './signal.ts'
import { transform, type TransformSpec, type TransformStep } from './transform.ts'
import { wait, type WaitSpec, type WaitStep } from './wait.ts'
import type { Template } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export type StepDefinition =
  | TransformStep
  | RouteStep
  | AgentStep
  | NotifyStep
  | WaitStep
  | HandlerStep
  | HttpStep
  | QueryStep
  | FailStep
  | SignalStep
  | ApprovalStep
  | MapStep
  | LoopStep
  | FlowStep
export type StepSpec =
  | TransformSpec
  | RouteSpec
  | AgentSpec
  | NotifySpec
  | WaitSpec
  | HandlerSpec
  | HttpSpec
  | QuerySpec
  | FailSpec
  | SignalSpec
  | ApprovalSpec
  | MapSpec
  | LoopSpec
  | FlowSpec
export type StepType = StepSpec['type']
/** What a worker runs outside of the database; every other step is decided, or waits. Each has what it is `given`. */
export type ActSpec = HandlerSpec | HttpSpec | QuerySpec | MapSpec | FlowSpec

const LANGUAGES: {
  readonly [Type in StepType]: StepLanguage<Extract<StepDefinition, { type: Type }>, Extract<StepSpec, { type: Type }>>
} = { transform, route, agent, notify, wait, handler, http, query, fail, signal, approval, map, loop, flow }

export const STEP_TYPES = Object.keys(LANGUAGES) as StepType[]
export const STEP_SCHEMAS: readonly z.ZodObject[] = Object.values(LANGUAGES).map(({ schema }) => schema)

/** undefined: there is no such type. */
export function languageOf(type: StepType): StepLanguage<StepDefinition, StepSpec>
export function languageOf(type: unknown): StepLanguage<StepDefinition, StepSpec> | undefined
export function languageOf(type: unknown): StepLanguage<StepDefinition, StepSpec> | undefined {
  if (typeof type !== 'string' || !Object.hasOwn(LANGUAGES, type)) return undefined
  return LANGUAGES[type as StepType]
}

const ACTS: { readonly [Type in ActSpec['type']]: true } = { handler: true, http: true, query: true, map: true, flow: true }
/** It is not run again when nobody knows whether it ran. */
export const runsOnce = (spec: ActSpec): boolean => 'atMostOnce' in spec && spec.atMostOnce
export const isAct = (spec: StepSpec): spec is ActSpec => Object.hasOwn(ACTS, spec.type)

/** What the step is given; undefined: it is given nothing that is one value. */
export const givenTo = (spec: StepSpec): Template | undefined => languageOf(spec.type).given?.(spec)
