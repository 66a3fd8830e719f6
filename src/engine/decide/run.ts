/** A step run as deciding knows it: its path is its identity, and tells which step of the program runs there. */
import type { Needs, Program, ProgramStep } from '../../language/program.ts'
import type { StepSpec } from '../../language/steps/step-types.ts'
import type { StepBody } from '../../language/steps/step-language.ts'

/** What `path` names: `poll`, `poll[3]`, `poll[3].items[17]`, `book.compensate`. */
export interface Run {
  readonly path: string
  readonly step: ProgramStep
  /** of a step run inside another: the map or loop, and its place there */
  readonly within?: Run
  readonly index?: number
}

/** The run of a step of the definition itself: its path is its name. */
export const runOfStep = (step: ProgramStep): Run => ({ path: step.name, step })

/** The step run that a path names; undefined when the program has none such. Only what is no step's name is taken apart. */
export function runAt(program: Program, path: string): Run | undefined {
  const step = program.step(path)
  if (step) return runOfStep(step)
  if (isCompensation(path)) {
    const undone = program.step(path.slice(0, -COMPENSATE.length))?.compensate
    return undone && { path, step: undone }
  }
  const [, outer, index] = INSIDE.exec(path) ?? []
  const within = outer === undefined ? undefined : runAt(program, outer)
  const run = within && runInside(within, Number(index))
  return run?.path === path ? run : undefined
}

const INSIDE = /^(.+?)(?:\.items)?\[(\d{1,9})\]$/
const NO_NEEDS: Needs = { mode: 'all', count: 0, of: [], routes: [] }

/** The item of a map (from 0), or the iteration of a loop (from 1). */
export function runInside(within: Run, index: number): Run | undefined {
  const { spec, name } = within.step
  if (spec.type !== 'map' && spec.type !== 'loop') return undefined
  const step = { ...(spec.step as StepBody<StepSpec>), name, needs: NO_NEEDS }
  return { path: `${within.path}${spec.type === 'map' ? '.items' : ''}[${index}]`, step, within, index }
}

const COMPENSATE = '.compensate'
/** Names have no dots: nothing else of a flow ends so. */
export const isCompensation = (path: string): boolean => path.endsWith(COMPENSATE)
/** What undoes a step; its path tells the step. */
export const compensationPath = (step: ProgramStep): string => `${step.name}${COMPENSATE}`
