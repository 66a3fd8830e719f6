/** Flows written in TypeScript: the same definition, with step and route names checked while typing. */
import type { Definition } from './definition.ts'
import type { StepDefinition } from './steps/step-types.ts'

type Names<Steps> = Extract<keyof Steps, string>

type AfterOf<Name extends string> =
  | readonly Name[]
  | { readonly any: readonly Name[] }
  | { readonly atLeast: number; readonly of: readonly Name[] }

/** "router:route" for every route that a router of the flow can take. */
type RouteOf<Steps> = {
  [Name in Names<Steps>]: Steps[Name] extends { type: 'route'; cases: readonly { to: infer To extends string }[] }
    ? `${Name}:${To}` | (Steps[Name] extends { otherwise: infer Otherwise extends string } ? `${Name}:${Otherwise}` : never)
    : never
}[Names<Steps>]

/** Each step may wait for the other steps, listen to routes that exist, and have another answer for its failure. */
type Checked<Steps> = {
  [Name in keyof Steps]: {
    readonly after?: AfterOf<Exclude<Names<Steps>, Name>>
    readonly on?: RouteOf<Steps>
    readonly onError?: 'fail' | 'continue' | { readonly goto: Exclude<Names<Steps>, Name> }
  }
}

/**
 * Returns the definition as it is given; what types cannot say (expressions, cycles, roles, durations) is checked by
 * `validateDefinition` when the flow is created.
 */
export function defineFlow<const Steps extends Record<string, StepDefinition>>(
  flow: Omit<Definition, 'steps'> & { readonly steps: Steps & Checked<Steps> },
): Definition {
  return flow
}
