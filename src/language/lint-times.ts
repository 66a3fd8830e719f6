/** Warnings about how long a flow may take, how wide it may get and what it may cost, when everything goes as badly as its bounds allow. */
import type { Definition } from './definition.ts'
import { formatDuration } from './duration.ts'
import type { IssueList } from './issue-list.ts'
import { MAX_ITEMS } from './steps/map.ts'
import type { Bounds } from './worst-case.ts'

export function warnAboutBounds(
  definition: Definition,
  { widths, endless, durationMs, cost }: Bounds,
  timeoutMs: number,
  warnings: IssueList,
): void {
  for (const { path, place, most } of widths.values()) {
    if (most !== Number.POSITIVE_INFINITY) continue
    const costs = cost > 0 ? `, and the flow cost ${cost} tokens` : ''
    warnings.add('UNBOUNDED', path, `${place.join('.')} may have ${MAX_ITEMS} items${costs}`, 'say "maxItems" in its schema')
  }
  for (const name of endless) {
    const message = `it waits as long as the flow may: ${formatDuration(timeoutMs)}`
    warnings.add('UNBOUNDED', ['steps', name], message, 'give it a "timeout"')
  }
  if (durationMs > timeoutMs) {
    const message = `its steps may take ${formatDuration(durationMs)} in the worst case; it ends after ${formatDuration(timeoutMs)}`
    warnings.add('TOO_SHORT', ['timeout'], message)
  }
  for (const [at, trigger] of (definition.triggers ?? []).entries()) {
    if (trigger.type !== 'pattern' || cost <= (trigger.cost ?? 0)) continue
    const message = `its steps may cost ${cost} tokens in the worst case; ${trigger.cost ?? 0} are told`
    warnings.add('TOO_LITTLE', ['triggers', String(at), 'cost'], message)
  }
}
