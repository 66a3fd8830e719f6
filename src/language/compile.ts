/** From a definition to the program that the engine runs. */
import type { Issue } from '../errors.ts'
import { dependentsOf } from './graph.ts'
import type { Program, ProgramStep } from './program.ts'
import type { AllowList } from './values.ts'
import { readDefinition } from './read-definition.ts'
import type { StepBody } from './steps/step-language.ts'

/**
 * Compiles a definition, or tells everything that is wrong with it. Used at creation, at start and at every load from the
 * database (A1): a definition that was fine once is refused when what it names is not on the allow-list any more.
 * Pure, never throws; well under a millisecond for a flow of ten steps whose JSON Schema was compiled before.
 */
export function compile(definition: unknown, allow: AllowList): { program: Program } | { issues: Issue[] } {
  const read = readDefinition(definition, allow)
  if (!read.definition) return { issues: read.issues.issues }
  const { steps, input, output, timeoutMs, compensationTimeoutMs, signals } = read
  const compensated = steps.filter((step) => step.compensate)
  const byName = new Map(steps.map((step) => [step.name, step]))
  const dependents = dependentsOf(new Map(steps.map((step) => [step.name, step.needs])))
  // a flow that marks outputs alone has masks too
  const sensitive = input?.sensitive ?? (marksOutputs(steps) ? () => ({}) : undefined)
  const program: Program = {
    name: read.definition.name,
    steps,
    step: (name) => byName.get(name),
    dependents: (name) => dependents.get(name) ?? [],
    ...(output && { output }),
    timeoutMs,
    ...(compensated.length > 0 && { compensation: { steps: compensated, timeoutMs: compensationTimeoutMs } }),
    ...(read.definition.permissions && { permissions: read.definition.permissions }),
    ...read.around,
    ...(namesPool(steps) && { usesPools: true }),
    ...(signals.size > 0 && { signals }),
    ...(sensitive && { sensitive }),
    checkInput: (value) => input?.check(value) ?? [],
  }
  return { program }
}

const namesPool = (steps: readonly StepBody[]): boolean =>
  steps.some((step) => {
    const { spec, compensate } = step as ProgramStep
    const { step: inner } = spec as { step?: StepBody }
    return step.pool !== undefined || (inner && namesPool([inner])) || (compensate && namesPool([compensate]))
  })

const marksOutputs = (steps: readonly StepBody[]): boolean =>
  steps.some(({ spec, returns }) => {
    const { step } = spec as { step?: StepBody }
    return returns?.shape !== undefined || (step !== undefined && marksOutputs([step]))
  })
