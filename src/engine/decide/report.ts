/** What an attempt that runs says of itself, as events; what is said after its end is dropped. */
import { emitOf, replaceInFlight } from './draft.ts'
import type { Draft } from './draft.ts'
import { isAttempt } from '../in-flight.ts'
import type { Input, InputResult } from './input.ts'
import { runAt } from './run.ts'

export function applyReport(draft: Draft, { path, attempt, epoch, report }: Input & { kind: 'reported' }): InputResult {
  const entry = draft.inFlight.find((e) => e.path === path)
  const run = runAt(draft.from.program, path)
  if (!run || !entry || !isAttempt(entry) || entry.attempt !== attempt || entry.epoch !== epoch) return 'late'
  const { lines, dropped, progress } = report
  for (const line of lines) emitOf(draft, run, 'step.log', { attempt, data: { ...line } })
  if (dropped > 0) emitOf(draft, run, 'step.log', { attempt, data: { message: `${dropped} lines were left out.`, dropped } })
  if (progress) {
    emitOf(draft, run, 'step.progress', { attempt, data: { ...progress } })
    replaceInFlight(draft, { ...entry, progress })
  }
  return 'applied'
}
