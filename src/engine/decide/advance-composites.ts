/** Maps and loops that are under way go on: what may begin inside of them begins, and they end when all of it has ended. */
import { hasEnded } from '../states.ts'
import { isComposite } from '../in-flight.ts'
import type { CompositeEntry } from '../in-flight.ts'
import { advanceLoop } from '../steps/loop.ts'
import { advanceMap } from '../steps/map.ts'
import type { Go } from '../steps/map.ts'
import type { Draft } from './draft.ts'
import { emitOf, replaceInFlight } from './draft.ts'
import { runAt } from './run.ts'
import type { Run } from './run.ts'

/** Every one of them once, those inside before those around them; true: something changed, look at everything again. */
export function advanceComposites(draft: Draft, go: Go): boolean {
  if (!draft.inFlight.some(isComposite)) return false
  let moved = false
  for (const { path } of draft.inFlight.toReversed()) {
    if (hasEnded(draft.status) || draft.more) break
    const entry = draft.inFlight.find((other) => other.path === path)
    if (!entry || !isComposite(entry)) continue
    const run = runAt(draft.from.program, path)
    if (run && advanceOne(draft, run, entry, go)) moved = true
  }
  return moved
}

function advanceOne(draft: Draft, run: Run, entry: CompositeEntry, go: Go): boolean {
  const { spec } = run.step
  if (entry.kind === 'map') return spec.type === 'map' && advanceMap(draft, run, spec, entry, go)
  return spec.type === 'loop' && advanceLoop(draft, run, spec, entry, go)
}

/** A history tells this often how far a map or a loop is. */
const MOST_SHOWN = 20

/** What a reader of the history wants to know of those that still run. */
export function tellProgress(draft: Draft): void {
  for (const entry of draft.inFlight) {
    if (!isComposite(entry)) continue
    const run = runAt(draft.from.program, entry.path)
    if (!run || run.within) continue
    const { data, share } = progressOf(run, entry)
    const shown = Math.floor(share * MOST_SHOWN)
    if (shown <= (entry.shown ?? 0)) continue
    replaceInFlight(draft, { ...entry, shown })
    emitOf(draft, run, 'step.progress', { attempt: entry.attempt, data })
  }
}

function progressOf({ step: { spec } }: Run, entry: CompositeEntry): { data: Record<string, number>; share: number } {
  if (entry.kind === 'map') {
    const { total, succeeded, failed, skipped } = entry
    const done = succeeded + failed + skipped
    return { data: { done, total, succeeded, failed, skipped }, share: done / total }
  }
  const times = spec.type === 'loop' ? spec.times : entry.iteration
  const iteration = entry.ended ? entry.iteration : entry.iteration - 1
  return { data: { done: iteration, total: times }, share: iteration / times }
}
