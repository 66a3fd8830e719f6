/** `route` in a definition: takes the route of the first case that is true. */
import { z } from 'zod'
import { commonFields, name, text, type AnyStep } from '../any-step.ts'
import type { Condition } from '../values.ts'
import type { StepLanguage } from './step-language.ts'

export interface RouteStep extends AnyStep {
  readonly type: 'route'
  readonly cases: readonly { readonly when: string; readonly to: string }[]
  readonly otherwise?: string
}
export interface RouteSpec {
  type: 'route'
  cases: readonly { when: Condition; to: string }[]
  otherwise?: string
}

export const route: StepLanguage<RouteStep, RouteSpec> = {
  schema: z.strictObject({
    ...commonFields,
    type: z.literal('route').describe('Takes the route of the first case that is true.'),
    cases: z
      .array(z.strictObject({ when: text.describe('A CEL condition, without ${{ }}.'), to: name.describe('The route.') }))
      .min(1)
      .max(100)
      .describe('Looked at in order.'),
    otherwise: name.optional().describe('The route when no case is true; without it the execution fails.'),
  }),
  instant: true,
  compile(step, compiler) {
    const cases = step.cases.map(({ when, to }, i) => {
      compiler.checkName(to, 'cases', String(i), 'to')
      return { when: compiler.condition(when, 'cases', String(i), 'when'), to }
    })
    if (step.otherwise === undefined) return { type: 'route', cases }
    compiler.checkName(step.otherwise, 'otherwise')
    return { type: 'route', cases, otherwise: step.otherwise }
  },
}

/** Every route that a router can take. */
export function routesOf(step: RouteStep): Set<string> {
  const routes = new Set(step.cases.map(({ to }) => to))
  if (step.otherwise !== undefined) routes.add(step.otherwise)
  return routes
}
