/**
 * Undoing: an execution that ends badly undoes what succeeded, one step after the other, in the reverse order of their ends. What
 * cannot be undone is told, and keeps nothing else from being undone.
 */
import { shareWork, workSpent } from '../../language/budget.ts'
import type { ProgramStep } from '../../language/program.ts'
import { storableText } from '../../storable-text.ts'
import { begin, MOST_WORK } from './advance.ts'
import { emit } from './draft.ts'
import type { Draft } from './draft.ts'
import { endExecution, stopAll, undoable } from './end-execution.ts'
import { compensationPath } from './run.ts'

/** Goes on with undoing as far as it can now; ends the execution when nothing is left. */
export function compensate(draft: Draft): void {
  const before = workSpent()
  while (draft.inFlight.length === 0) {
    const next = undoable(draft).find((step) => !draft.steps.has(compensationPath(step)))
    if (!next) return endCompensation(draft)
    if (workSpent() - before > MOST_WORK) {
      draft.more = true
      return
    }
    shareWork(() => begin(draft, { path: compensationPath(next), step: next.compensate! }, 1))
  }
}

/** All is undone, or the time for it is over. */
export function endCompensation(draft: Draft): void {
  const { ending, error } = draft
  if (ending === null) return
  stopAll(draft)
  const left = undoable(draft).filter((step) => !isUndone(draft, step))
  const names = left.map(({ name }) => name)
  const reason = names.length === 0 ? draft.reason : storableText(`${draft.reason}; not undone: ${names.join(', ')}`, 4000)
  const undone = undoable(draft).length - left.length
  emit(draft, 'compensation.finished', { data: { undone, left: names.slice(0, 20) } })
  endExecution(draft, ending, reason, error)
}

/** One whose `when` said that there is nothing to undo is undone. */
function isUndone(draft: Draft, step: ProgramStep): boolean {
  const status = draft.steps.get(compensationPath(step))?.status
  return status === 'SUCCEEDED' || status === 'SKIPPED'
}
