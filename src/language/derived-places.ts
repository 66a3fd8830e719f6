/** Where sensitive input goes: through templates into what steps are given, what transforms make, and the flow's output. */
import { addPlace, HIDDEN, hidesAnything, lookUp } from '../masking/places.ts'
import type { Places } from '../masking/places.ts'
import type { Program, Template } from './program.ts'
import { givenTo } from './steps/step-types.ts'

/** Each leads into the value it is called after; undefined: nothing of it is sensitive. */
export interface DerivedPlaces {
  readonly input: Places
  readonly steps: ReadonlyMap<string, { readonly given?: Places; readonly output?: Places }>
  readonly output?: Places
}

/** `input`: the sensitive places of one input. What a handler or an agent makes of what it is given cannot be known here. */
export function derivePlaces(program: Program, input: Places): DerivedPlaces {
  const scope: Places = { fields: new Map([['input', input]]) }
  const derive = (template: Template | undefined): Places | undefined => {
    const made: Places = {}
    for (const { at, place, copies } of template?.reads ?? []) {
      const found = lookUp(scope, place)
      if (found) addPlace(made, at, copies ? found : HIDDEN)
    }
    return hidesAnything(made) ? made : undefined
  }
  const steps = new Map<string, { given?: Places; output?: Places }>()
  // in an order in which they can run: what one reads was derived before
  for (const { name, spec } of program.steps) {
    const made = derive(givenTo(spec))
    if (!made) continue
    steps.set(name, spec.type === 'transform' ? { output: made } : { given: made })
    if (spec.type === 'transform') addPlace(scope, ['steps', name, 'output'], made)
  }
  // under the path of its run, since the step has been given something of its own
  for (const { name, compensate } of program.compensation?.steps ?? []) {
    const made = compensate && derive(givenTo(compensate.spec))
    if (made) steps.set(`${name}.compensate`, { given: made })
  }
  const output = derive(program.output)
  return { input, steps, ...(output && { output }) }
}
