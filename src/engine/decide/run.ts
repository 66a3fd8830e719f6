/** A step run as deciding knows it: its path is its identity, and tells which step of the program runs there. */
import type { Program, ProgramStep } from '../../language/program.ts'

/** What `path` names: `poll`, `poll[3]`, `poll[3].items[17]`, `book.compensate`. */
export interface Run {
  readonly path: string
  readonly step: ProgramStep
}

/** The run of a step of the definition itself: its path is its name. */
export const runOfStep = (step: ProgramStep): Run => ({ path: step.name, step })

/** The step run that a path names; undefined when the program has none such. Only what is no step's name is taken apart. */
export function runAt(program: Program, path: string): Run | undefined {
  const step = program.step(path)
  if (step) return runOfStep(step)
  const undone = isCompensation(path) ? program.step(path.slice(0, -COMPENSATE.length))?.compensate : undefined
  return undone && { path, step: undone }
}

const COMPENSATE = '.compensate'
/** Names have no dots: nothing else of a flow ends so. */
export const isCompensation = (path: string): boolean => path.endsWith(COMPENSATE)
/** What undoes a step; its path tells the step. */
export const compensationPath = (step: ProgramStep): string => `${step.name}${COMPENSATE}`
