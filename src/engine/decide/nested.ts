/** Step runs inside a map or a loop: how their ends are counted there, and what becomes of them when it ends before they do. */
import { storableText } from '../../storable-text.ts'
import type { CompositeEntry } from '../in-flight.ts'
import { isComposite, isInside } from '../in-flight.ts'
import type { Draft } from './draft.ts'
import { replaceInFlight } from './draft.ts'
import { keepList } from './scope.ts'
import type { Run } from './run.ts'
import type { StepRecord } from './snapshot.ts'

/** The map or loop that a step run is in, as it is under way. */
function outerOf(draft: Draft, { within }: Run): CompositeEntry | undefined {
  const entry = within && draft.inFlight.find(({ path }) => path === within.path)
  return entry && isComposite(entry) ? entry : undefined
}

/** What the state would be with this output. That of an item is not part of it; that of an iteration replaces the one before. */
export function stateBytesWith(draft: Draft, run: Run, bytes: number): number {
  const outer = outerOf(draft, run)
  if (outer?.kind === 'map') return draft.stateBytes
  return draft.stateBytes + bytes - (outer?.bytes ?? 0)
}

/** Counted and noted; `advance` does what follows from it. `error`: what the map or loop fails with, if it has to. */
export function endInside(
  draft: Draft,
  run: Run,
  record: StepRecord,
  more: { bytes?: number; error?: { code: string; message: string } } = {},
): void {
  const outer = outerOf(draft, run)
  const { bytes = 0 } = more
  const error = more.error && { ...more.error, message: storableText(`${run.path}: ${more.error.message}`, 2000) }
  if (outer?.kind === 'map') {
    const count = COUNTED[record.status]
    replaceInFlight(draft, {
      ...{ ...outer, bytes: outer.bytes + bytes },
      ...(count && { [count]: outer[count] + 1 }),
      ...(error && { error }),
    })
  } else if (outer) {
    const succeeded = record.status === 'SUCCEEDED'
    const count = error ? undefined : OF_ITERATIONS[record.status]
    if (succeeded) forgetLast(draft, outer)
    if (succeeded) draft.steps.set(run.path, record)
    replaceInFlight(draft, {
      ...{ ...outer, ended: true },
      ...(succeeded && { last: run.path, bytes }),
      ...(count && { [count]: (outer[count] ?? 0) + 1 }),
      ...(error && { error }),
    })
  }
}

/** Those that succeeded are the others. */
const OF_ITERATIONS = { SUCCEEDED: undefined, FAILED: 'failed', SKIPPED: 'skipped', CANCELED: undefined } as const
const COUNTED = { SUCCEEDED: 'succeeded', FAILED: 'failed', SKIPPED: 'skipped', CANCELED: undefined } as const

/** What the state holds of a loop that is under way goes when the next output comes, or when the loop has ended. */
function forgetLast(draft: Draft, { last }: { last?: string }): void {
  if (last !== undefined) draft.steps.delete(last)
}

/** The map or loop has ended: nothing of it is kept but its own record. What still ran inside was ended before. */
export function leave(draft: Draft, entry: CompositeEntry): void {
  if (entry.kind === 'map') return keepList(draft, entry.path)
  forgetLast(draft, entry)
  draft.stateBytes -= entry.bytes ?? 0
}

/** The paths of what is under way inside of it. */
export function pathsInside(draft: Draft, outer: string): string[] {
  return draft.inFlight.flatMap(({ path }) => (isInside(path, outer) ? [path] : []))
}
