/** How the results of a case name step runs: by path, by path with `[*]` for every item, or by the step's name. */
import { runAt } from '../engine/decide/run.ts'
import type { Program } from '../language/program.ts'

/** The keys that a step run answers to, the most exact first. */
export function keysOf(path: string, stepName: string): string[] {
  return [...new Set([path, path.replaceAll(/\[\d+\]/g, '[*]'), stepName])]
}

/** Whether the key can name a run of the program at all: what is behind the step's name only running tells. */
export const stepOfKey = (program: Program, key: string): boolean =>
  runAt(program, key) !== undefined || program.step(key.split(/[.[]/, 1)[0]!) !== undefined
