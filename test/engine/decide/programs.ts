/** Programs made by hand or by chance, without the compiler: what `decide` is tested with. */
import type { Needs, Program, ProgramStep } from '../../../src/language/program.ts'
import type { StepSpec } from '../../../src/language/steps/step-types.ts'
import type { Json, RetryPolicy, Template } from '../../../src/language/values.ts'

export const constant = (value: Json): Template => ({ evaluate: () => ({ ok: true, value }) })

export const NO_RETRY: RetryPolicy = { attempts: 1, firstDelayMs: 100, factor: 2, maxDelayMs: 1000, jitter: 0 }
export const START: Needs = { mode: 'all', count: 0, of: [], routes: [] }

export const onRoute = (router: string, route: string): Needs => ({ ...START, routes: [{ router, route }] })

export function step(name: string, spec: StepSpec, more: Partial<ProgramStep> = {}): ProgramStep {
  const timed = spec.type === 'handler' || spec.type === 'agent' || spec.type === 'flow'
  return { name, needs: START, retry: NO_RETRY, spec, ...(timed && { timeoutMs: 60_000 }), ...more }
}

export const handler: StepSpec = { type: 'handler', handler: 'work', with: constant({}), secrets: [], atMostOnce: false }
export const transform: StepSpec = { type: 'transform', set: constant({ ok: true }) }
export const agent: StepSpec = { type: 'agent', role: 'ceo', subject: constant('?'), request: constant({}) }
export const waiting = (durationMs: number): StepSpec => ({ type: 'wait', durationMs })
export const flow: StepSpec = { type: 'flow', flow: 'other', input: constant({}) }
/** The steps inside of maps and loops are made like others. */
export const map = (items: number, inside: ProgramStep, parallel: number, tolerated: number): StepSpec => ({
  ...{ type: 'map', over: constant(Array.from({ length: items }, (_, n) => n)), step: inside, parallel },
  tolerate: { count: tolerated },
})
export const loop = (times: number, inside: ProgramStep, delayMs: number): StepSpec => ({
  type: 'loop',
  step: inside,
  times,
  delayMs,
})
export const route = (to: string): StepSpec => ({ type: 'route', cases: [], otherwise: to })

export function program(steps: ProgramStep[], more: Partial<Program> = {}): Program {
  const byName = new Map(steps.map((s) => [s.name, s]))
  const compensated = steps.filter((s) => s.compensate)
  const names = (s: ProgramStep): string[] => [...s.needs.of, ...s.needs.routes.map(({ router }) => router)]
  return {
    name: 'test',
    steps,
    step: (name) => byName.get(name),
    dependents: (name) => steps.filter((s) => names(s).includes(name)).map((s) => s.name),
    timeoutMs: 3_600_000,
    ...(compensated.length > 0 && { compensation: { steps: compensated, timeoutMs: 1_800_000 } }),
    checkInput: () => [],
    ...more,
  }
}
