/** Where sensitive input goes: through templates into what steps are given, what transforms make, and the flow's output. */
import { addPlace, below, HIDDEN, hidesAnything, joined, lookUp } from '../masking/places.ts'
import type { Places } from '../masking/places.ts'
import type { Program } from './program.ts'
import type { StepSpec } from './steps/step-types.ts'
import type { Template } from './values.ts'
import type { StepBody } from './steps/step-language.ts'
import { givenTo } from './steps/step-types.ts'

/** Each leads into the value it is called after; undefined: nothing of it is sensitive. */
export interface DerivedPlaces {
  readonly input: Places
  readonly steps: ReadonlyMap<string, { readonly given?: Places; readonly output?: Places }>
  readonly output?: Places
}

/** By the path of the step run without its numbers: `poll`, `poll[].items[]`, `book.compensate`. */
type StepPlaces = Map<string, { given?: Places; output?: Places }>

/**
 * `input`: the sensitive places of one input. What a handler or an agent makes of what it is given cannot be known here: `returns` says
 * what of it is sensitive.
 */
export function derivePlaces(program: Program, input: Places): DerivedPlaces {
  const scope: Places = { fields: new Map([['input', input]]) }
  const steps: StepPlaces = new Map()
  // in an order in which they can run: what one reads was derived before
  for (const step of program.steps) {
    const made = deriveStep(step.name, step, scope, steps)
    if (made) addPlace(scope, ['steps', step.name, 'output'], made)
  }
  // under the path of its run, since the step has been given something of its own
  for (const { name, compensate } of program.compensation?.steps ?? []) {
    if (compensate) deriveStep(`${name}.compensate`, compensate, scope, steps)
  }
  const output = derive(program.output, scope)
  return { input, steps, ...(output && { output }) }
}

/** What of its output is sensitive. */
function deriveStep(path: string, { spec, returns }: StepBody, scope: Places, steps: StepPlaces): Places | undefined {
  const of = spec as StepSpec
  const given = derive(givenTo(of), scope)
  let output = returns?.shape
  if (of.type === 'transform' && given) output = joined(output, given)
  if (of.type === 'map') {
    const item = below(derive(of.over, scope), '0')
    const made = deriveStep(`${path}.items[]`, of.step, item ? withField(scope, 'item', item) : scope, steps)
    if (made) output = joined(output, { fields: new Map([['items', { any: made }]]) })
  }
  if (of.type === 'loop') {
    const last = of.step.returns?.shape
    const made = deriveStep(`${path}[]`, of.step, last ? withField(scope, 'last', last) : scope, steps)
    if (made) output = joined(output, made)
  }
  const shown = of.type === 'transform' ? undefined : given
  if (shown || output) steps.set(path, { ...(shown && { given: shown }), ...(output && { output }) })
  return output
}

function derive(template: Template | undefined, scope: Places): Places | undefined {
  const made: Places = {}
  for (const { at, place, copies } of template?.reads ?? []) {
    const found = lookUp(scope, place)
    if (found) addPlace(made, at, copies ? found : HIDDEN)
  }
  return hidesAnything(made) ? made : undefined
}

const withField = (places: Places, key: string, what: Places): Places => ({
  ...places,
  fields: new Map([...(places.fields ?? []), [key, what]]),
})
